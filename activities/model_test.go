package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/db"
)

var (
	modelHistories = flag.Int("model.histories", 500, "how many random histories the model goes through")
	modelSeed      = flag.Uint64("model.seed", 0, "go through the one history of this seed, and say each step")
)

// A connection lives through random histories: its source, a Jamf Pro or one
// behind Truto, changes, lies, fails and is cut off, its workers stop, its Postgres crashes, people come and
// go on the staff roster, and time passes. After every step the record must be
// what the oracle says. The laws:
//
//   - the record is the truth at one moment of the last applied read, and what
//     it was before wherever a sync failed or was held: all or nothing;
//   - a sync that nothing stood in the way of is applied, unless the brake
//     holds it or it takes a second one to believe that groups are empty;
//   - each change was recorded once, and the changes from the beginning give
//     the record;
//   - numbers of syncs go up by one and are never used again;
//   - the monitors say what follows from the record, the roster and the time,
//     and so are never better than the truth at the last complete read;
//   - doing anything twice changes nothing more.
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		h := newHistory(*modelSeed, len(stepKinds))
		p := modelPlace(t, "model_seed")
		h.say = t.Logf
		require.NoError(t, h.run(t.Context(), p, h.steps))
		return
	}
	histories := *modelHistories
	if testing.Short() {
		histories = min(histories, 150)
	}
	var next, syncs, applied atomic.Int64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		p := modelPlace(t, fmt.Sprintf("model_%d", i))
		workers.Go(func() {
			for !failed.Load() && t.Context().Err() == nil {
				seed := uint64(next.Add(1))
				if seed > uint64(histories) {
					return
				}
				h := newHistory(seed, len(stepKinds))
				err := h.run(t.Context(), p, h.steps)
				syncs.Add(int64(h.syncs))
				applied.Add(int64(h.applied))
				if err != nil && failed.CompareAndSwap(false, true) {
					steps, err := h.shrink(t.Context(), p, err)
					t.Errorf("-model.seed=%d: %v\nafter these of its steps:\n  %s", seed, err, strings.Join(steps, "\n  "))
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d histories of %d syncs, %d of them applied", min(next.Load(), int64(histories)), syncs.Load(), applied.Load())
	// A model in which hardly anything succeeds proves hardly anything.
	require.Greater(t, applied.Load()*2, syncs.Load())
}

func modelPlace(t *testing.T, name string) *place {
	t.Helper()
	url, err := postgres.CreateDatabase(t.Context(), name, migrated)
	require.NoError(t, err)
	p, err := newPlace(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(p.close)
	return p
}

// history is one life of a connection. What its steps do depends on nothing
// but their seeds and the steps before them.
type history struct {
	seed  uint64
	steps []step
	say   func(string, ...any)

	*place
	ctx        context.Context
	source     source
	oracle     *oracle
	connection db.Connection
	number     int // of the last sync

	syncs, applied int // over all runs
}

type step struct {
	kind int
	seed uint64
}

func (s step) rand() *rand.Rand { return rand.New(rand.NewPCG(s.seed, 1)) }

var stepKinds = []struct {
	name   string
	weight int
	do     func(*history, *rand.Rand) error
}{
	{"sync", 4, func(h *history, r *rand.Rand) error { return h.sync(r, nothing, false) }},
	{"disturbed sync", 9, func(h *history, r *rand.Rand) error {
		all := slices.Concat(disturbances, h.source.disturbances())
		return h.sync(r, all[r.IntN(len(all))], r.IntN(6) == 0)
	}},
	{"accepting sync", 1, func(h *history, r *rand.Rand) error { return h.sync(r, nothing, true) }},
	{"changes", 6, func(h *history, r *rand.Rand) error {
		for range 1 + r.IntN(4) {
			h.source.change(r)
		}
		return nil
	}},
	{"many leave", 1, (*history).manyLeave},
	{"administrators leave", 1, (*history).administratorsLeave},
	{"privileges", 1, (*history).changePrivileges},
	{"roster", 3, (*history).importRoster},
	{"clock", 3, func(h *history, r *rand.Rand) error {
		h.clock.Advance([]time.Duration{time.Hour, every, 3 * every, grace, 7*24*time.Hour - 2*time.Hour, 8 * 24 * time.Hour}[r.IntN(6)])
		return nil
	}},
	{"monitors", 1, (*history).enableMonitors},
	{"reconnect", 1, (*history).reconnect},
}

func newHistory(seed uint64, kinds int) *history {
	h := &history{seed: seed, say: func(string, ...any) {}}
	r := rand.New(rand.NewPCG(seed, 0))
	total := 0
	for _, k := range stepKinds[:kinds] {
		total += k.weight
	}
	for range 1 + r.IntN(6) {
		at, kind := r.IntN(total), 0
		for at >= stepKinds[kind].weight {
			at -= stepKinds[kind].weight
			kind++
		}
		h.steps = append(h.steps, step{kind, r.Uint64()})
	}
	return h
}

// run goes through steps, and ends with a sync that nothing disturbs.
func (h *history) run(ctx context.Context, p *place, steps []step) (err error) {
	h.place, h.ctx = p, ctx
	h.source, h.oracle, h.number = newSource(h.seed), newOracle(), 0
	defer p.server.CloseClientConnections() // or they would wait for more for a while
	if h.connection, err = p.connect(ctx, h.source, h.source.scope()); err != nil {
		return err
	}
	if _, err := p.newRun("").enableMonitors(h.connection); err != nil {
		return err
	}
	last := step{0, h.seed}
	for i, s := range append(slices.Clone(steps), last) {
		if err := h.step(i, s); err != nil {
			return err
		}
	}
	if h.oracle.doubting { // the one after it may not
		return h.step(len(steps)+1, last)
	}
	return nil
}

func (h *history) step(i int, s step) error {
	kind := stepKinds[s.kind]
	h.clock.Advance(time.Second)
	h.say("step %d: %s", i, kind.name)
	if err := kind.do(h, s.rand()); err != nil {
		return fmt.Errorf("step %d (%s): %w", i, kind.name, err)
	}
	check := h.check
	if !strings.HasSuffix(kind.name, "sync") {
		check = h.checkSyncsAndMonitors
	}
	if err := check(); err != nil {
		return fmt.Errorf("step %d (%s): %w", i, kind.name, err)
	}
	return nil
}

// shrink drops every step without which the history still fails, and returns
// what is left of it with its error.
func (h *history) shrink(ctx context.Context, p *place, err error) ([]string, error) {
	steps := h.steps
	for i := len(steps) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(steps), i, i+1)
		if e := h.run(ctx, p, fewer); e != nil {
			steps, err = fewer, e
		}
	}
	var said []string
	h.say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if e := h.run(ctx, p, steps); e != nil {
		err = e
	}
	return said, err
}

func (h *history) manyLeave(r *rand.Rand) error {
	for _, p := range h.source.accounts() {
		switch r.IntN(5) {
		case 0:
			h.source.disable(p.id)
		case 1, 2, 3:
			h.source.remove(p.id)
		}
	}
	return nil
}

func (h *history) administratorsLeave(r *rand.Rand) error {
	for _, p := range h.source.accounts() {
		switch {
		case !p.administers:
		case r.IntN(2) == 0:
			h.source.remove(p.id)
		default:
			h.source.disable(p.id)
		}
	}
	return nil
}

func (h *history) changePrivileges(r *rand.Rand) error {
	h.say("  %s", h.source.changePrivileges(r))
	return nil
}

// importRoster knows most accounts' owners, by e-mail address in any case or
// by alias, and some people who have left or will.
func (h *history) importRoster(r *rand.Rand) error {
	now := h.clock.Now()
	var people []db.Person
	for _, a := range h.source.accounts() {
		p := db.Person{Email: strings.ToUpper(a.email), Name: a.name}
		switch {
		case r.IntN(10) == 0:
			continue
		case a.email == "" || r.IntN(4) == 0:
			p.Email, p.Aliases = fmt.Sprintf("person%d@example.com", a.id), []string{strings.ToUpper(a.username)}
		}
		if r.IntN(3) == 0 {
			p.ExitedAt = new(now.Add([]time.Duration{-48 * time.Hour, -grace, -time.Hour, 0, time.Hour, every, 9 * 24 * time.Hour}[r.IntN(7)]))
		}
		people = append(people, p)
	}
	if _, err := h.record.ImportRoster(h.ctx, h.connection.Organization, people, true); err != nil {
		return err
	}
	if _, err := h.record.JudgeByRoster(h.ctx, h.connection.Organization, nil); err != nil {
		return err
	}
	h.oracle.imports(&roster{importedAt: now, people: people})
	return nil
}

// enableMonitors enables what is enabled already.
func (h *history) enableMonitors(*rand.Rand) error {
	once, err := h.dump(h.ctx, h.connection.ID)
	if err != nil {
		return err
	}
	if _, err := h.newRun("").enableMonitors(h.connection); err != nil {
		return err
	}
	return h.still(once)
}

// reconnect offers credentials that the source accepts.
func (h *history) reconnect(*rand.Rand) error {
	if h.source.unreadable() && !h.source.isRejected() {
		return nil // and might be refused
	}
	offer, err := h.record.OfferCredentials(h.ctx, h.connection.ID, h.source.renew())
	if err != nil {
		return err
	}
	_, err = h.newRun("").validate(h.connection, offer)
	h.source.renewed(err == nil)
	if err != nil && !h.source.unreadable() {
		return err
	}
	return nil
}

// sync is one sync, as its workflow drives it.
func (h *history) sync(r *rand.Rand, d disturbance, accept bool) error {
	h.syncs++
	before := h.source.truth()
	s := &driven{history: h, accept: accept, run: h.begin()}
	h.say("  sync %d %s, accept %v", h.number, d.name, accept)
	survivable := true
	if d.arrange != nil {
		survivable = d.arrange(s, r)
	}
	result, err := s.drive()
	h.source.SetFault(nil)
	if err != nil {
		return err
	}
	h.say("  -> %s %s %s", result.Outcome, result.Error, result.Reason)
	candidates := []truth{before}
	if after := h.source.truth(); !reflect.DeepEqual(before, after) {
		candidates = append(candidates, after)
	}
	if s.lie != nil {
		candidates = append(candidates, *s.lie)
	}
	for i := range candidates {
		candidates[i] = h.oracle.known(candidates[i])
	}
	if err := h.judge(result, candidates, survivable, accept); err != nil {
		return fmt.Errorf("sync %d, %s: %w", h.number, d.name, err)
	}
	return h.again(s, result)
}

func (h *history) begin() *run {
	h.number++
	return h.newRun(fmt.Sprintf("%s-%d", h.connection.Name, h.number))
}

// judge holds what became of a sync against what may have become of it, and
// has the oracle go along.
func (h *history) judge(result activities.SyncResult, candidates []truth, survivable, accept bool) error {
	if result.Number != h.number {
		return fmt.Errorf("its number is %d, and %d is due", result.Number, h.number)
	}
	h.oracle.syncs = append(h.oracle.syncs, fmt.Sprintf("%d %s", result.Number, result.Outcome))
	switch result.Outcome {
	case db.Failed:
		doubtful := slices.ContainsFunc(candidates, h.oracle.mayDoubt)
		if survivable && !h.source.unreadable() && !doubtful {
			return fmt.Errorf("it failed for no reason: %s: %s", result.Error, result.Reason)
		}
		h.oracle.doubted, h.oracle.doubting = nil, true
		if survivable && len(candidates) == 1 && !h.source.unreadable() {
			h.oracle.doubted = h.oracle.doubts(candidates[0])
		}
		return nil
	case db.Held:
		if !slices.ContainsFunc(candidates, h.mayHold(accept)) {
			return fmt.Errorf("it was held for no reason: %s", result.Reason)
		}
		h.oracle.hold(candidates)
		return nil
	}
	h.applied++
	present, err := h.accounts(false)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		if next := h.oracle.after(c); maps.Equal(next, present) && !h.oracle.holds(c, accept) {
			if doubts := h.oracle.doubts(c); len(doubts) > 0 && !h.oracle.doubting {
				return fmt.Errorf("it believed at first sight that nobody is in %v", doubts)
			}
			h.oracle.apply(c, result.Number, result.StartedAt, h.clock.Now())
			return nil
		}
	}
	if slices.ContainsFunc(candidates, func(t truth) bool { return h.oracle.holds(t, accept) }) {
		return errors.New("it was applied although it takes too much away")
	}
	return fmt.Errorf("the record is not the truth at any moment of the read:%s", difference(h.oracle.after(candidates[len(candidates)-1]), present))
}

func (h *history) mayHold(accept bool) func(truth) bool {
	return func(t truth) bool { return h.oracle.mayHold(t, accept) }
}

// again does all activities of a sync that has ended once more.
func (h *history) again(s *driven, result activities.SyncResult) error {
	if h.number%3 != 0 {
		return nil // one in three will do
	}
	once, err := h.dump(h.ctx, h.connection.ID)
	if err != nil {
		return err
	}
	if _, err := s.run.fetch(h.connection); err != nil {
		return err
	}
	recorded, err := s.run.recordOutcomes(h.connection, true)
	if err != nil {
		return err
	}
	failed, err := s.run.recordFailure(h.connection, "late", "late")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(recorded, result) || !reflect.DeepEqual(failed, result) {
		return fmt.Errorf("recorded again it is %+v and %+v, and was %+v", recorded, failed, result)
	}
	return h.still(once)
}

func (h *history) still(before string) error {
	after, err := h.dump(h.ctx, h.connection.ID)
	if err == nil && after != before {
		err = fmt.Errorf("done twice it is\n%s\nand was\n%s", after, before)
	}
	return err
}

// check compares everything that is on record with the oracle.
func (h *history) check() error {
	present, err := h.accounts(false)
	if err != nil {
		return err
	}
	if !maps.Equal(h.oracle.present, present) {
		return fmt.Errorf("the accounts on record are wrong:%s", difference(h.oracle.present, present))
	}
	removed, err := h.accounts(true)
	if err != nil {
		return err
	}
	if !maps.Equal(h.oracle.removedAs, removed) {
		return fmt.Errorf("the removed accounts on record are wrong:%s", difference(h.oracle.removedAs, removed))
	}
	if err := h.checkChanges(); err != nil {
		return err
	}
	return h.checkSyncsAndMonitors()
}

func (h *history) accounts(removed bool) (map[string]facts, error) {
	accounts := map[string]facts{}
	for a, err := range h.record.Accounts(h.ctx, h.connection.ID, removed) {
		if err != nil {
			return nil, err
		}
		key := string(a.Kind) + "/" + a.ID
		if removed && !a.RemovedAt.Equal(h.oracle.removed[key]) {
			return nil, fmt.Errorf("%s was removed at %v, and is said to be at %v", key, h.oracle.removed[key], a.RemovedAt)
		}
		if a.Site != "" {
			return nil, fmt.Errorf("%s has facts that nobody gave it", key)
		}
		f := facts{
			Username: a.Username, Email: a.Email, Name: a.Name, Status: string(a.Status), MFA: string(a.MFA), Level: a.AccessLevel,
			Roles: strings.Join(a.Roles, ","), Groups: strings.Join(a.Groups, ","), Privileges: strings.Join(a.Privileges, ","),
		}
		if a.FromDirectory != nil {
			f.Directory = fmt.Sprint(*a.FromDirectory)
		}
		accounts[key] = f
	}
	return accounts, nil
}

// checkChanges goes through the changes from the beginning.
func (h *history) checkChanges() error {
	var seen []string
	replayed := map[string]map[string]any{}
	gone := map[string]bool{}
	for c, err := range h.record.Changes(h.ctx, h.connection.ID, time.Time{}) {
		if err != nil {
			return err
		}
		key := c.Kind + "/" + c.ID
		seen = append(seen, fmt.Sprintf("%d %s %s", c.Sync, c.Change, key))
		var before, after map[string]any
		if err := errors.Join(json.Unmarshal(c.Before, &before), json.Unmarshal(c.After, &after)); err != nil {
			return err
		}
		for fact, value := range before {
			if !reflect.DeepEqual(replayed[key][fact], value) {
				return fmt.Errorf("sync %d says that %s of %s was %v, and it was %v", c.Sync, fact, key, value, replayed[key][fact])
			}
		}
		if replayed[key] == nil {
			replayed[key] = map[string]any{}
		}
		maps.Copy(replayed[key], after)
		gone[key] = c.Change == "removed"
	}
	slices.Sort(seen)
	slices.Sort(h.oracle.changes)
	if !slices.Equal(seen, h.oracle.changes) {
		return fmt.Errorf("the changes are %q, and should be %q", seen, h.oracle.changes)
	}
	present := map[string]facts{}
	for key, f := range replayed {
		if !gone[key] {
			present[key] = factsOf(f)
		}
	}
	if !maps.Equal(present, h.oracle.present) {
		return fmt.Errorf("the changes do not give the record:%s", difference(h.oracle.present, present))
	}
	return nil
}

// factsOf reads the facts of a change.
func factsOf(f map[string]any) facts {
	list := func(v any) string {
		var words []string
		for _, word := range v.([]any) {
			words = append(words, word.(string))
		}
		return strings.Join(words, ",")
	}
	out := facts{
		Username: f["username"].(string), Email: f["email"].(string), Name: f["name"].(string), Status: f["status"].(string),
		MFA: f["mfa"].(string), Level: f["access_level"].(string), Roles: list(f["roles"]), Groups: list(f["groups"]), Privileges: list(f["privileges"]),
	}
	if f["directory"] != nil {
		out.Directory = fmt.Sprint(f["directory"])
	}
	return out
}

func (h *history) checkSyncsAndMonitors() error {
	syncs, err := h.record.Syncs(h.ctx, h.connection.ID, 1000)
	if err != nil {
		return err
	}
	var ended []string
	for _, s := range slices.Backward(syncs) {
		ended = append(ended, fmt.Sprintf("%d %s", s.Number, s.Outcome))
	}
	if !slices.Equal(ended, h.oracle.syncs) {
		return fmt.Errorf("the syncs are %q, and should be %q", ended, h.oracle.syncs)
	}
	monitors, err := h.record.Monitors(h.ctx, h.connection.ID)
	if err != nil {
		return err
	}
	states := map[string]db.MonitorState{}
	for _, m := range monitors {
		states[m.Code] = m.State
	}
	if due := h.oracle.monitors(h.clock.Now()); !maps.Equal(states, due) {
		return fmt.Errorf("the monitors say %v, and should say %v", states, due)
	}
	return nil
}

// after is what the record would hold once t is applied.
func (o *oracle) after(t truth) map[string]facts {
	next := maps.Clone(t.entries)
	for key, f := range o.present {
		if !t.kinds[kindOf(key)] {
			next[key] = f
		}
	}
	return next
}

func difference(due, is map[string]facts) string {
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(due)) {
		if f, ok := is[key]; !ok {
			fmt.Fprintf(&out, "\n%s is missing: %+v", key, due[key])
		} else if f != due[key] {
			fmt.Fprintf(&out, "\n%s is %+v\nand should be %+v", key, f, due[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if _, ok := due[key]; !ok {
			fmt.Fprintf(&out, "\n%s is too much: %+v", key, is[key])
		}
	}
	return out.String()
}

package activities_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/db"
)

// driven is a sync under way.
type driven struct {
	*history
	run    *run
	accept bool
	// betweenFetchAndRecord happens there, once.
	betweenFetchAndRecord func() error
	// afterStop happens before a stopped worker's fetch goes on, once.
	afterStop func()
	// overtaken is the result of another run that ended this one; its worker
	// goes on without knowing.
	overtaken *activities.SyncResult
	failure   error // of what a disturbance did
	// lie is what a source says all along, and that may be believed in the
	// end.
	lie *truth
}

// drive does what the workflow of a sync does.
func (s *driven) drive() (activities.SyncResult, error) {
	var none activities.SyncResult
	busy := 0
	for range 50 {
		_, err := s.run.fetch(s.connection)
		if s.failure != nil {
			return none, s.failure
		}
		if s.overtaken != nil {
			return *s.overtaken, nil
		}
		if err == nil {
			if s.betweenFetchAndRecord != nil {
				err = s.betweenFetchAndRecord()
				s.betweenFetchAndRecord = nil
				if err != nil {
					return none, err
				}
			}
			result, recordErr := s.run.recordOutcomes(s.connection, s.accept)
			if recordErr == nil {
				return result, nil
			}
			err = recordErr
		}
		e := failureOf(err)
		if e == nil {
			return none, fmt.Errorf("an error without a type: %w", err)
		}
		switch {
		case e.Type() == activities.StagingLost:
		case e.Type() == "worker_stops":
			s.run.stop = nil
			if s.afterStop != nil {
				s.afterStop()
				s.afterStop = nil
			}
		case e.Type() == string(directory.TokenRejected):
			var rejected activities.RejectedToken
			if err := e.Details(&rejected); err != nil {
				return none, err
			}
			if err := s.refreshPatiently(rejected.Generation); err != nil {
				refused := failureOf(err)
				if refused == nil {
					return none, err
				}
				return s.run.recordFailure(s.connection, refused.Type(), refused.Message())
			}
		case e.NonRetryable():
			return s.run.recordFailure(s.connection, e.Type(), e.Message())
		default: // tried again until patience ends
			if busy++; busy == 3 {
				if err := s.setTrouble(s.ctx, s.connection, db.Trouble{Unreachable: 10, Busy: time.Hour}); err != nil {
					return none, err
				}
			}
		}
	}
	return none, errors.New("the sync does not end")
}

// refreshPatiently tries until there is no use in another try.
func (s *driven) refreshPatiently(generation int64) error {
	err := s.run.refresh(s.connection, generation)
	if e := failureOf(err); e != nil && !e.NonRetryable() {
		late := s.newRun(s.run.id)
		late.attempt, late.scheduled = 10, time.Hour
		err = late.refresh(s.connection, generation)
	}
	return err
}

// disturbance is what happens during a sync. Arrange sets it up and reports
// whether the sync must succeed all the same.
type disturbance struct {
	name    string
	arrange func(*driven, *rand.Rand) bool
}

var nothing = disturbance{name: "in peace"}

var disturbances = []disturbance{
	nothing,
	{"a passing fault", func(s *driven, r *rand.Rand) bool {
		fault := s.source.passing(r)
		s.at(r, func(*http.Request) *faults.Fault { return fault })
		return true
	}},
	{"a passing lie", func(s *driven, r *rand.Rand) bool {
		s.at(r, s.source.lie(r))
		return true
	}},
	{"a lasting lie about the accounts", func(s *driven, r *rand.Rand) bool {
		s.source.SetFault(s.source.lastingLie(r))
		return false
	}},
	{"out of order", func(s *driven, r *rand.Rand) bool {
		s.source.SetFault(s.source.outage(r))
		return false
	}},
	{"lists that say they are empty", (*driven).emptyLists},
	{"the worker stops", func(s *driven, r *rand.Rand) bool {
		s.stopAt(r)
		return true
	}},
	{"the worker stops and an account changes", func(s *driven, r *rand.Rand) bool {
		s.stopAt(r)
		s.afterStop = func() { s.source.changeOne(r) }
		return true
	}},
	{"Postgres crashes in the fetch", func(s *driven, r *rand.Rand) bool {
		s.at(r, func(*http.Request) *faults.Fault {
			s.failure = s.crashPostgres(s.ctx)
			return nil
		})
		return true
	}},
	{"Postgres crashes before the record", func(s *driven, _ *rand.Rand) bool {
		s.betweenFetchAndRecord = func() error { return s.crashPostgres(s.ctx) }
		return true
	}},
	{"the token is rejected", func(s *driven, r *rand.Rand) bool {
		s.at(r, func(*http.Request) *faults.Fault {
			s.source.rejectOnce()
			return nil
		})
		return true
	}},
	{"the credentials are rejected", func(s *driven, r *rand.Rand) bool {
		s.at(r, func(*http.Request) *faults.Fault {
			s.source.reject()
			return nil
		})
		return false
	}},
	{"an account changes", func(s *driven, r *rand.Rand) bool {
		s.at(r, func(*http.Request) *faults.Fault {
			s.source.changeOne(r)
			return nil
		})
		return true
	}},
	{"an account vanishes between list and detail", func(s *driven, r *rand.Rand) bool {
		accounts := s.source.accounts()
		id := accounts[r.IntN(len(accounts))].id
		s.source.SetFault(once(s.source.detail(id), func() { s.source.remove(id) }))
		return true
	}},
	{"the pages shift", (*driven).shiftPages},
	{"a second worker does the same", func(s *driven, r *rand.Rand) bool {
		s.at(r, func(*http.Request) *faults.Fault {
			// What it says is of no interest: the first one goes on all the same.
			_, _ = s.newRun(s.run.id).fetch(s.connection)
			return nil
		})
		return true
	}},
	{"another sync overtakes", (*driven).overtake},
	{"the roster is replaced in the fetch", func(s *driven, r *rand.Rand) bool {
		s.at(r, func(*http.Request) *faults.Fault {
			s.failure = s.importRoster(r)
			return nil
		})
		return true
	}},
	{"the roster is replaced before the record", func(s *driven, r *rand.Rand) bool {
		s.betweenFetchAndRecord = func() error { return s.importRoster(r) }
		return true
	}},
}

// at makes f happen at one of the first requests, but for those for access.
func (s *driven) at(r *rand.Rand, f func(*http.Request) *faults.Fault) {
	var seen atomic.Int64
	when := int64(1 + r.IntN(16))
	s.source.SetFault(func(req *http.Request) *faults.Fault {
		if req.Method == http.MethodPost || seen.Add(1) != when {
			return nil
		}
		s.say("  at request %d, %s", when, req.URL)
		return f(req)
	})
}

func (s *driven) stopAt(r *rand.Rand) {
	stop := make(chan struct{})
	s.run.stop = stop
	s.at(r, func(req *http.Request) *faults.Fault {
		close(stop)
		<-req.Context().Done()
		return nil
	})
}

// emptyLists deny what is on record. A list that nothing on record speaks
// against has to be believed.
func (s *driven) emptyLists(r *rand.Rand) bool {
	var paths []string
	for kind, path := range s.source.lists() {
		for key := range s.source.truth().entries {
			if _, onRecord := s.oracle.present[key]; onRecord && kindOf(key) == kind {
				paths = append(paths, path)
				break
			}
		}
	}
	if len(paths) == 0 {
		return true
	}
	path := slices.Min(paths)
	fault := faults.Func(func(req *http.Request) *faults.Fault {
		if req.URL.Path == path {
			return s.source.noEntries()
		}
		return nil
	})
	if r.IntN(2) == 0 {
		s.source.SetFault(fault.Times(1))
		return true
	}
	s.source.SetFault(fault)
	return false
}

// shiftPages takes an account from the first page and adds one at the end
// while the second page is awaited: somebody moves to the page before, and the
// totals agree.
func (s *driven) shiftPages(r *rand.Rand) bool {
	first := s.source.firstPage()
	if len(first) == 0 {
		return true
	}
	s.source.SetFault(oncePage(s.source, 1, func() {
		s.source.remove(first[r.IntN(len(first))])
		s.source.addOne(r)
	}))
	return true
}

// overtake has another run do a whole sync while this one's worker waits for
// an answer.
func (s *driven) overtake(r *rand.Rand) bool {
	s.at(r, func(*http.Request) *faults.Fault {
		interrupted := s.number
		other := &driven{history: s.history, accept: s.accept, run: s.begin()}
		result, err := other.drive()
		s.failure, s.overtaken = err, &result
		s.oracle.syncs = append(s.oracle.syncs, fmt.Sprintf("%d failed", interrupted))
		s.run = other.run
		return nil
	})
	return true
}

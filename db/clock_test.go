package db

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

// at is a machine whose clock is wrong.
func (r *record) at(wrong time.Duration) *DB {
	r.t.Helper()
	d, err := Open(r.ctx, r.url, WithKeyset(r.keyset), func(d *DB) {
		d.clock = &serverClock{machine: func() time.Time { return time.Now().Add(wrong) }}
	})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { d.Close() })
	return d
}

func TestWhateverAMachinesClockSaysTheRecordHasPostgreSQLsTime(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]time.Duration{"ahead": 365 * 24 * time.Hour, "behind": -365 * 24 * time.Hour, "right": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			d := r.at(wrong)
			_, err := d.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}, true)
			require.NoError(t, err)
			require.Less(t, one[float64](r, `SELECT abs(extract(epoch FROM clock_timestamp() - imported_at)) FROM rosters`), 5.0)

			server, err := d.Server(r.ctx)
			require.NoError(t, err)
			require.InDelta(t, -wrong.Seconds(), server.Ahead.Seconds(), 5, "which doctor tells")
		})
	}
}

// A machine that has lost its power holds no lock for long.
func TestSessionsOfMachinesThatAreGoneEnd(t *testing.T) {
	t.Parallel()
	r := setup(t)
	d := r.at(0)
	for setting, want := range map[string]string{
		"idle_in_transaction_session_timeout": "10min", "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10",
		"tcp_keepalives_count": "3",
	} {
		var is string
		require.NoError(t, d.sql.Get(&is, `SHOW `+setting))
		require.Equal(t, want, is, setting)
	}
}

// Tokens expire by the clock of the machine that got them, and others use them.
func TestATokenLastsAsLongOnAMachineWhoseClockIsWrong(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	ahead, right := r.at(time.Hour), r.at(0)
	issuer := &issuer{valid: 20 * time.Minute}
	issued, err := ahead.Token(r.ctx, c.ID, func(ctx context.Context, k directory.Credentials) (directory.Token, error) {
		token, err := issuer.renew(ctx, k)
		token.RenewAt = time.Now().Add(time.Hour + 20*time.Minute)
		return token, err
	})
	require.NoError(t, err)
	for d, lasts := range map[*DB]time.Duration{ahead: time.Hour + 20*time.Minute, right: 20 * time.Minute} {
		token, err := d.Token(r.ctx, c.ID, issuer.renew)
		require.NoError(t, err)
		require.Equal(t, issued.Value, token.Value, "it is not renewed")
		require.InDelta(t, lasts.Seconds(), time.Until(token.RenewAt).Seconds(), 5)
	}
}

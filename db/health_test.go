package db

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	r := setup(t)
	d, err := Open(r.ctx, r.url)
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	s, err := d.Server(r.ctx)
	require.NoError(t, err)
	require.Contains(t, s.Address, "127.0.0.1")
	require.Equal(t, one[string](r, `SELECT current_setting('server_version')`), s.Version)
	require.Equal(t, one[string](r, `SELECT current_user`), s.Role)
	require.True(t, s.Local)
	require.False(t, s.Encrypted)
	require.Less(t, s.Ahead.Abs(), time.Second)

	ahead, err := r.Server(r.ctx)
	require.NoError(t, err)
	require.InDelta(t, time.Since(r.clock.Now()).Seconds(), ahead.Ahead.Seconds(), 5, "as this program's clock has it")
}

func TestHostsOfThisMachine(t *testing.T) {
	t.Parallel()
	for host, local := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "::1": true, "/var/run/postgresql": true,
		"db.example": false, "10.0.0.1": false, "localhost.example": false, "": false,
	} {
		require.Equal(t, local, isLocal(host), host)
	}
}

func TestCheckSealsNamesWhatTheKeysetDoesNotOpen(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.Disconnect(r.ctx, r.connect("gone").ID))
	rotated, err := r.keyset.Rotated()
	require.NoError(t, err)
	foreign, err := NewKeyset()
	require.NoError(t, err)
	_, err = r.openWith(WithKeyset(foreign)).CreateConnection(r.ctx, newConnection("other"))
	require.NoError(t, err)
	before := r.dump()

	for _, keyset := range []*Keyset{r.keyset, rotated} {
		sealed, unopened, err := r.openWith(WithKeyset(keyset)).CheckSeals(r.ctx)
		require.NoError(t, err)
		require.Equal(t, 2, sealed)
		require.Equal(t, []string{"other"}, unopened)
	}
	_, _, err = r.openWith().CheckSeals(r.ctx)
	require.ErrorIs(t, err, ErrNoKeyset)
	require.Equal(t, before, r.dump())

	r.exec(`UPDATE credentials SET sealed = '\x00' WHERE connection_id = $1`, c.ID)
	_, unopened, err := r.CheckSeals(r.ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"acme", "other"}, unopened)
}

func TestNewerKnowsADatabaseOfANewerProgram(t *testing.T) {
	t.Parallel()
	r := setup(t)
	newer, err := r.Newer(r.ctx)
	require.NoError(t, err)
	require.False(t, newer)
	r.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	newer, err = r.Newer(r.ctx)
	require.NoError(t, err)
	require.True(t, newer)
	pending, err := r.Pending(r.ctx)
	require.NoError(t, err)
	require.Zero(t, pending)
}

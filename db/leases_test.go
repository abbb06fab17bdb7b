package db

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAServerIsReadByOneConnectionAtATime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	one, two := r.connect("one").ID, r.connect("two").ID
	lease := func(server string, connection int64) bool {
		t.Helper()
		given, err := r.LeaseServer(r.ctx, server, connection, time.Hour)
		require.NoError(t, err)
		return given
	}
	require.True(t, lease("one.example", one))
	require.True(t, lease("one.example", one), "it is prolonged")
	require.False(t, lease("one.example", two))
	require.True(t, lease("two.example", two))

	require.NoError(t, r.ReleaseServer(r.ctx, "one.example", two), "it has none to release")
	require.False(t, lease("one.example", two))
	for range 2 {
		require.NoError(t, r.ReleaseServer(r.ctx, "one.example", one))
	}
	require.True(t, lease("one.example", two))
}

func TestALeaseThatNobodyProlongsEnds(t *testing.T) {
	t.Parallel()
	r := setup(t)
	one, two := r.connect("one").ID, r.connect("two").ID
	given, err := r.LeaseServer(r.ctx, "one.example", one, 0)
	require.NoError(t, err)
	require.True(t, given)
	given, err = r.LeaseServer(r.ctx, "one.example", two, time.Hour)
	require.NoError(t, err)
	require.True(t, given)
	given, err = r.LeaseServer(r.ctx, "one.example", one, time.Hour)
	require.NoError(t, err)
	require.False(t, given, "who had it before finds out")
}

func TestOfManyWhoAskAtOnceOneIsGivenTheServer(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var connections []Connection
	for i := range 8 {
		connections = append(connections, r.connect(fmt.Sprint("acme", i)))
	}
	var given atomic.Int32
	for _, err := range together(len(connections), func(i int) error {
		ok, err := r.LeaseServer(r.ctx, "one.example", connections[i].ID, time.Hour)
		if ok {
			given.Add(1)
		}
		return err
	}) {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, given.Load())
}

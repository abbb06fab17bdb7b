package db

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAServerIsReadByOneConnectionAtATime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	lease := func(server string, connection int64) bool {
		t.Helper()
		given, err := r.LeaseServer(r.ctx, server, connection, time.Hour)
		require.NoError(t, err)
		return given
	}
	require.True(t, lease("one.example", 1))
	require.True(t, lease("one.example", 1), "it is prolonged")
	require.False(t, lease("one.example", 2))
	require.True(t, lease("two.example", 2))

	require.NoError(t, r.ReleaseServer(r.ctx, "one.example", 2), "it has none to release")
	require.False(t, lease("one.example", 2))
	for range 2 {
		require.NoError(t, r.ReleaseServer(r.ctx, "one.example", 1))
	}
	require.True(t, lease("one.example", 2))
}

func TestALeaseThatNobodyProlongsEnds(t *testing.T) {
	t.Parallel()
	r := setup(t)
	given, err := r.LeaseServer(r.ctx, "one.example", 1, 0)
	require.NoError(t, err)
	require.True(t, given)
	given, err = r.LeaseServer(r.ctx, "one.example", 2, time.Hour)
	require.NoError(t, err)
	require.True(t, given)
	given, err = r.LeaseServer(r.ctx, "one.example", 1, time.Hour)
	require.NoError(t, err)
	require.False(t, given, "who had it before finds out")
}

func TestOfManyWhoAskAtOnceOneIsGivenTheServer(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var given atomic.Int32
	for _, err := range together(8, func(i int) error {
		ok, err := r.LeaseServer(r.ctx, "one.example", int64(i), time.Hour)
		if ok {
			given.Add(1)
		}
		return err
	}) {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, given.Load())
}

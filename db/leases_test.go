package db

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (r *record) lease(server string, c Connection, span time.Duration) *Lease {
	r.t.Helper()
	lease, err := r.LeaseServer(r.ctx, server, c.ID, span)
	require.NoError(r.t, err)
	return lease
}

func (r *record) prolong(lease *Lease) bool {
	r.t.Helper()
	held, err := r.ProlongLease(r.ctx, *lease, time.Hour)
	require.NoError(r.t, err)
	return held
}

func TestAServerIsReadByOneConnectionAtATime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	one, two := r.connect("one"), r.connect("two")
	lease := r.lease("one.example", one, time.Hour)
	require.True(t, r.prolong(lease))
	require.Nil(t, r.lease("one.example", two, time.Hour))
	require.NotNil(t, r.lease("two.example", two, time.Hour))
	for range 2 {
		require.NoError(t, r.ReleaseLease(r.ctx, *lease))
	}
	require.NotNil(t, r.lease("one.example", two, time.Hour))
}

func TestWhoReadsAServer(t *testing.T) {
	t.Parallel()
	r := setup(t)
	one, two := r.connect("one"), r.connect("two")
	reads := func(c Connection) bool {
		t.Helper()
		reads, err := r.ReadsServer(r.ctx, "one.example", c.ID)
		require.NoError(t, err)
		return reads
	}
	require.False(t, reads(one))
	lease := r.lease("one.example", one, time.Hour)
	require.Equal(t, []bool{true, false}, []bool{reads(one), reads(two)})
	require.NoError(t, r.ReleaseLease(r.ctx, *lease))
	r.lease("one.example", one, 0)
	require.False(t, reads(one))
}

func TestALeaseThatNobodyProlongsEnds(t *testing.T) {
	t.Parallel()
	r := setup(t)
	one, two := r.connect("one"), r.connect("two")
	lease := r.lease("one.example", one, 0)
	require.NotNil(t, r.lease("one.example", two, time.Hour))
	require.False(t, r.prolong(lease), "who had it before finds out")
	require.Nil(t, r.lease("one.example", one, time.Hour))
}

// A worker that was away for a while is followed by another of its connection.
func TestWhoWasAwayTakesNothingFromItsSuccessor(t *testing.T) {
	t.Parallel()
	r := setup(t)
	one, two := r.connect("one"), r.connect("two")
	away, successor := r.lease("one.example", one, time.Hour), r.lease("one.example", one, time.Hour)
	require.NotNil(t, successor)
	require.False(t, r.prolong(away))
	require.NoError(t, r.ReleaseLease(r.ctx, *away))
	require.Nil(t, r.lease("one.example", two, time.Hour))
	require.True(t, r.prolong(successor))
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
		lease, err := r.LeaseServer(r.ctx, "one.example", connections[i].ID, time.Hour)
		if lease != nil {
			given.Add(1)
		}
		return err
	}) {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, given.Load())
}

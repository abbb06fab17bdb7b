package db

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRosterIsReadBack(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, err := r.Roster(r.ctx, "default")
	require.ErrorIs(t, err, ErrNotFound)

	exit := start.Add(-time.Hour)
	people := []Person{
		{Email: "Ann@example.com", Name: `A "nn", {x}`, Aliases: []string{"ann", "a;b"}, ExitedAt: &exit},
		{Email: "bob@example.com", Aliases: []string{}},
	}
	for range 2 {
		require.NoError(t, r.ImportRoster(r.ctx, "default", people))
		roster, err := r.Roster(r.ctx, "default")
		require.NoError(t, err)
		require.Equal(t, Roster{ImportedAt: r.clock.Now(), People: people}, roster)
		require.Equal(t, 4, one[int](r, `SELECT count(*) FROM person_addresses`))
		r.clock.Advance(time.Hour)
	}
}

func TestImportReplacesTheWholeRosterOfOneOrganization(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "a@x"}, {Email: "b@x"}}))
	require.NoError(t, r.ImportRoster(r.ctx, "other", []Person{{Email: "a@x"}}))
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "c@x"}}))
	for organization, email := range map[string]string{"default": "c@x", "other": "a@x"} {
		roster, err := r.Roster(r.ctx, organization)
		require.NoError(t, err)
		require.Len(t, roster.People, 1)
		require.Equal(t, email, roster.People[0].Email)
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	roster, err := r.Roster(r.ctx, "default")
	require.NoError(t, err)
	require.Empty(t, roster.People)
}

func TestAddressOfTwoPeopleLeavesTheRosterAsItWas(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "old@x"}}))
	before := r.dump()
	for _, people := range [][]Person{
		{{Email: "a@x"}, {Email: "A@x"}},
		{{Email: "a@x"}, {Email: "b@x", Aliases: []string{"A@X"}}},
		{{Email: "a@x", Aliases: []string{"same"}}, {Email: "b@x", Aliases: []string{"SAME"}}},
	} {
		err := r.ImportRoster(r.ctx, "default", people)
		require.ErrorIs(t, err, ErrDuplicateAddress)
		require.NotContains(t, err.Error(), "@")
		require.Equal(t, before, r.dump())
	}
}

func TestPersonMayRepeatAnAddress(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "a@x", Aliases: []string{"A@X", "a@x", "", "alias"}}}))
	require.Equal(t, 2, one[int](r, `SELECT count(*) FROM person_addresses`))
}

func TestConcurrentImportsLeaveOneWholeRoster(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for _, err := range together(6, func(i int) error {
		return r.ImportRoster(r.ctx, "default", []Person{{Email: fmt.Sprintf("a%d@x", i)}, {Email: fmt.Sprintf("b%d@x", i)}})
	}) {
		require.NoError(t, err)
	}
	roster, err := r.Roster(r.ctx, "default")
	require.NoError(t, err)
	require.Len(t, roster.People, 2)
	require.Equal(t, roster.People[0].Email[1:], roster.People[1].Email[1:])
}

func TestLargeRoster(t *testing.T) {
	t.Parallel()
	r := setup(t)
	people := make([]Person, 100_000)
	for i := range people {
		people[i] = Person{Email: fmt.Sprintf("person%d@example.com", i), Aliases: []string{fmt.Sprintf("p%d", i)}}
	}
	for range 2 {
		require.NoError(t, r.ImportRoster(r.ctx, "default", people))
		require.Equal(t, 2*len(people), one[int](r, `SELECT count(*) FROM person_addresses`))
	}
}

package activities_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
)

// A source has checks of its own. These sources have lost theirs: what they
// hand over is looked at once more before it is believed.
func TestWhatASourceHandsOverIsCheckedAgain(t *testing.T) {
	refuse := func(t *testing.T, w *world, change func(*directory.Page)) {
		w.sync()
		accounts := w.usernames()
		for name, provider := range w.activities.Providers {
			w.activities.Providers[name] = &altering{provider, change}
		}
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.Equal(t, string(directory.Inconsistent), codeOf(err))
		_, err = r.recordOutcomes(w.connection, true)
		require.Error(t, err)
		require.Equal(t, accounts, w.usernames())
	}
	for name, change := range map[string]func(*directory.Page){
		"a user is lost on the way": func(page *directory.Page) {
			if len(page.Users) == pageSize {
				page.Users = page.Users[1:]
			}
		},
		"a user comes twice": func(page *directory.Page) {
			if len(page.Users) == pageSize {
				page.Users[1] = page.Users[0]
			}
		},
		"there is nobody": func(page *directory.Page) {
			page.Users = nil
			if page.Summary != nil {
				for kind := range page.Summary.Totals {
					page.Summary.Totals[kind] = 0
				}
			}
		},
		"a text cannot be kept": func(page *directory.Page) {
			for i := range page.Users {
				page.Users[i].Name = "\xff"
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			forEverySource(t, 5, func(t *testing.T, w *world) { refuse(t, w, change) })
		})
	}
	for name, change := range map[string]func(*directory.Page){
		"there are only clients": func(page *directory.Page) {
			if len(page.Users) > 0 && page.Users[0].Kind == directory.Account {
				page.Users = nil
			}
			if page.Summary != nil {
				page.Summary.Totals[directory.Account] = 0
			}
		},
		"there is a kind without a total": func(page *directory.Page) {
			if page.Summary != nil {
				delete(page.Summary.Totals, directory.APIClient)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, setup(t, 5), change) })
	}
}

func TestConnectionOfASourceThatNobodyKnowsHere(t *testing.T) {
	w := setup(t, 1)
	w.activities.Providers = nil
	_, err := w.newRun().fetch(w.connection)
	require.ErrorContains(t, err, "older than the program")
	require.False(t, failureOf(err).NonRetryable(), "a newer worker will know it")
	_, err = execute[any](w.newRun(), activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID})
	require.NoError(t, err)
}

// altering is a provider of sources whose pages are changed on the way, and
// who find nobody when asked for one.
type altering struct {
	directory.Provider
	change func(*directory.Page)
}

func (a *altering) Open(settings directory.Settings, tokens directory.TokenSource) (directory.Source, error) {
	source, err := a.Provider.Open(settings, tokens)
	return &altered{source, a.change}, err
}

type altered struct {
	directory.Source
	change func(*directory.Page)
}

func (a *altered) Read(ctx context.Context, from directory.Cursor, emit func(directory.Page) error) error {
	return a.Source.Read(ctx, from, func(page directory.Page) error {
		a.change(&page)
		return emit(page)
	})
}

func (a *altered) Lookup(context.Context, []directory.Identity) (directory.Lookup, error) {
	return directory.Lookup{}, nil
}

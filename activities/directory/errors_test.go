package directory_test

import (
	"testing"

	"jamf-access-review/activities/directory"
)

func TestEveryCodeComesUnderOneOfTheContract(t *testing.T) {
	t.Parallel()
	for code, want := range map[directory.Code]directory.Code{
		directory.NeedsReauth:      directory.CredentialsRejected,
		directory.ValidationError:  directory.CredentialsRejected,
		directory.APITokenRejected: directory.Unreachable,
		directory.AccountBlocked:   directory.Unreachable,
		directory.AccountUnusable:  directory.Unreachable,
		directory.Inconsistent:     directory.Inconsistent,
		"":                         "",
		"unheard of":               "unheard of",
	} {
		if got := code.General(); got != want {
			t.Errorf("%q comes under %q", code, got)
		}
	}
}

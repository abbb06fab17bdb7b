package output

import (
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func rowsOf(rows ...[]string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func TestARowIsOneLineWhereNobodySeesATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, WriteTable(&out, []Column{Col("Who", 5), Col("Why", 5)}, rowsOf(
		[]string{"somebody.with.a.long.name@example.com", "for a reason of many words"}, []string{"b", ""},
	)))
	require.Equal(t, `WHO                                    WHY
somebody.with.a.long.name@example.com  for a reason of many words
b
`, out.String())
}

func TestColumnsTakeTheRoomThatThereIs(t *testing.T) {
	t.Parallel()
	columns := []Column{Col("a", 10), Col("b", 10)}
	for room, want := range map[int][]int{
		10:  {10, 10}, // narrower than anybody has
		22:  {10, 10},
		27:  {13, 12},
		38:  {16, 20}, // the first needs no more
		200: {16, 40},
	} {
		require.Equal(t, want, fit(columns, []int{16, 40}, room), room)
	}
	require.Equal(t, []int{3, 19}, fit(columns, []int{3, 40}, 24), "what one does not need another has")
}

func TestATableIsNoWiderThanItsTerminal(t *testing.T) {
	t.Parallel()
	columns := []Column{Col("at", 20), Col("who", 16), Col("before", 30), Col("after", 40)}
	for room, want := range map[int][]int{
		112: {20, 16, 30, 40},
		85:  {20, 16, 30, 13},
		72:  {20, 16, 20, 10},
		30:  {10, 10, 10, 10}, // narrower than anybody has
	} {
		require.Equal(t, want, fit(columns, []int{20, 16, 60, 60}, room), room)
	}
}

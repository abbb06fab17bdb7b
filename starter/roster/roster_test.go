package roster

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/db"
)

func TestReadsPeopleWhateverTheOrderAndCaseOfTheColumns(t *testing.T) {
	t.Parallel()
	left := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	leaves := time.Date(2026, 12, 31, 16, 30, 0, 0, time.UTC)
	people, err := Read(strings.NewReader("\ufeffName,EMAIL,aliases,exited_at\n" +
		"Maria Example,maria@example.com, m.example@example.com ; mexample;,\n" +
		"\"Sample, Tom\",tom@example.com,,2026-11-20\n" +
		"Ana Probe,ana@example.com,,2026-12-31T17:30:00+01:00\n"))
	require.NoError(t, err)
	require.Equal(t, []db.Person{
		{Email: "maria@example.com", Name: "Maria Example", Aliases: []string{"m.example@example.com", "mexample"}},
		{Email: "tom@example.com", Name: "Sample, Tom", ExitedAt: &left},
		{Email: "ana@example.com", Name: "Ana Probe", ExitedAt: &leaves},
	}, people)
}

func TestAliasesAreOptionalAndARosterMayBeEmpty(t *testing.T) {
	t.Parallel()
	people, err := Read(strings.NewReader("email,name,exited_at\n"))
	require.NoError(t, err)
	require.Empty(t, people)
}

func TestRowsOfNothingAreLeftOut(t *testing.T) {
	t.Parallel()
	people, err := Read(strings.NewReader("email,name,exited_at\na@example.com,A,\n,,\n , ,\n\n"))
	require.NoError(t, err)
	require.Len(t, people, 1)
}

func TestAFileOfAnotherFormatIsToldHowToBeSaved(t *testing.T) {
	t.Parallel()
	for content, says := range map[string]string{
		"email;name;exited_at\n":            "separate columns with commas",
		"email\tname\texited_at\n":          "separate columns with commas",
		"\xff\xfee\x00m\x00a\x00i\x00l\x00": "UTF-8",
	} {
		_, err := Read(strings.NewReader(content))
		require.ErrorContains(t, err, says)
	}
}

func TestTheFirstTenRowsThatAreWrongAreTold(t *testing.T) {
	t.Parallel()
	_, err := Read(strings.NewReader("email,name,exited_at\na,A,\nb@example.com,B,\nc@example.com,C,soon\nB@example.com,D,\n"))
	require.EqualError(t, err, `row 2, column email: "a" is no e-mail address
row 4, column exited_at: "soon" is neither a date nor an RFC 3339 time
row 5, column email: the same address is in row 3`)
	_, err = Read(strings.NewReader("email,name,exited_at\n" + strings.Repeat("nobody,N,\n", 1000)))
	require.Len(t, strings.Split(err.Error(), "\n"), 10)
}

func TestAnErrorNamesRowAndColumn(t *testing.T) {
	t.Parallel()
	const header = "email,name,exited_at,aliases\n"
	for name, test := range map[string]struct {
		content string
		row     int
		column  string
	}{
		"nothing":                    {"", 1, ""},
		"unknown column":             {"email,name,exited_at,salary\n", 1, "salary"},
		"missing column":             {"email,name\n", 1, "exited_at"},
		"column twice":               {"email,name,exited_at,email\n", 1, "email"},
		"too few fields":             {header + "a@example.com,A,\n", 2, ""},
		"too many fields":            {header + "a@example.com,A,,,\n", 2, ""},
		"no address":                 {header + "a@example.com,A,,\n,B,,\n", 3, "email"},
		"not an address":             {header + "somebody,A,,\n", 2, "email"},
		"an address with a name":     {header + "A <a@example.com>,A,,\n", 2, "email"},
		"neither date nor time":      {header + "a@example.com,A,yesterday,\n", 2, "exited_at"},
		"no such date":               {header + "a@example.com,A,2026-02-30,\n", 2, "exited_at"},
		"address twice":              {header + "a@example.com,A,,\nA@Example.com,B,,\n", 3, "email"},
		"alias of somebody else":     {header + "a@example.com,A,,\nb@example.com,B,,A@example.com\n", 3, "aliases"},
		"address is another's alias": {header + "a@example.com,A,,b@example.com\nb@example.com,B,,\n", 3, "email"},
		"open quote":                 {header + "\"a@example.com,A,,\n", 2, ""},
		"not UTF-8":                  {header + "a@example.com,\xff,,\n", 2, "name"},
		"NUL":                        {header + "a@example.com,A\x00,,\n", 2, "name"},
		"after a field of two lines": {header + "a@example.com,\"A\nB\",,\nb,B,,\n", 4, "email"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			people, err := Read(strings.NewReader(test.content))
			require.Nil(t, people, "nothing is imported")
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, test.row, wrong.Row, "%v", err)
			require.Equal(t, test.column, wrong.Column, "%v", err)
		})
	}
}

// Whatever the bytes, Read returns people that can be matched and stored, or
// says in which row it cannot.
func FuzzRead(f *testing.F) {
	f.Add("email,name,exited_at,aliases\na@example.com,A,2026-01-01,b;c\n")
	f.Add("email,name,exited_at\n\"a@example.com\",\"\n\",\n")
	f.Fuzz(func(t *testing.T, content string) {
		people, err := Read(strings.NewReader(content))
		if err != nil {
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			require.Positive(t, wrong.Row)
			return
		}
		owners := map[string]int{}
		for i, p := range people {
			require.Contains(t, p.Email, "@")
			for _, address := range append([]string{p.Email}, p.Aliases...) {
				key := strings.ToLower(address)
				require.NotEmpty(t, key)
				require.NotContains(t, key, "\x00")
				if owner, ok := owners[key]; ok {
					require.Equal(t, i, owner, "an address belongs to one person")
				}
				owners[key] = i
			}
		}
	})
}

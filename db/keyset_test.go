package db

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysetIsReadBackFromItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	k, err := NewKeyset()
	require.NoError(t, err)
	require.NoError(t, k.Create(path))

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, given := range []string{path, string(content), "\n " + string(content)} {
		loaded, err := LoadKeyset(given)
		require.NoError(t, err)
		requireOpens(t, loaded, k)
	}
}

func requireOpens(t *testing.T, opener, sealer *Keyset) {
	t.Helper()
	sealed, err := sealer.seal([]byte("plain"), nil)
	require.NoError(t, err)
	plain, err := opener.open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "plain", string(plain))
}

func TestCreateKeepsAKeysetThatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	k, err := NewKeyset()
	require.NoError(t, err)
	require.NoError(t, k.Create(path))
	other, err := NewKeyset()
	require.NoError(t, err)

	require.ErrorIs(t, other.Create(path), fs.ErrExist)
	loaded, err := LoadKeyset(path)
	require.NoError(t, err)
	requireOpens(t, loaded, k)
}

func TestReplaceTwiceIsAsGoodAsOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	k, err := NewKeyset()
	require.NoError(t, err)
	require.NoError(t, k.Create(path))
	rotated, err := k.Rotated()
	require.NoError(t, err)
	// What a Replace that was killed left behind.
	require.NoError(t, os.WriteFile(path+".new", []byte("half"), 0o600))
	for range 2 {
		require.NoError(t, rotated.Replace(path))
		loaded, err := LoadKeyset(path)
		require.NoError(t, err)
		requireOpens(t, loaded, k)
		requireOpens(t, loaded, rotated)
	}
}

func TestRotatedSealsWithTheNewKey(t *testing.T) {
	t.Parallel()
	k, err := NewKeyset()
	require.NoError(t, err)
	rotated, err := k.Rotated()
	require.NoError(t, err)
	requireOpens(t, rotated, k)
	sealed, err := rotated.seal([]byte("plain"), nil)
	require.NoError(t, err)
	_, err = k.open(sealed, nil)
	require.Error(t, err)
}

func TestUnusableKeysets(t *testing.T) {
	t.Parallel()
	_, err := LoadKeyset(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	key := `{"key": "` + secret + `"}`
	for _, value := range []string{
		key, "'" + key + "'", "\ufeff" + key, key[1:], base64.StdEncoding.EncodeToString([]byte(strings.Repeat(key, 10))),
	} {
		_, err = LoadKeyset(value)
		require.ErrorContains(t, err, "not a Tink keyset")
		require.NotContains(t, err.Error(), value[5:])
		require.Empty(t, KeysetFile(value))
	}
	_, err = LoadKeyset(`{}`)
	require.Error(t, err)
}

// A worker that runs on goes on when the keys are rotated under it.
func TestASealOfANewKeyIsOpenedByReadingTheFileAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyset.json")
	k, err := NewKeyset()
	require.NoError(t, err)
	require.NoError(t, k.Create(path))
	worker, err := LoadKeyset(path)
	require.NoError(t, err)

	rotated, err := k.Rotated()
	require.NoError(t, err)
	require.NoError(t, rotated.Replace(path))
	requireOpens(t, worker, rotated)
	requireOpens(t, rotated, worker)
}

package localpostgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// An account is the user that PostgreSQL's programs run as. Its credential is nil
// when that is this program's own user.
type account struct {
	name       string
	credential *syscall.Credential
}

// PostgreSQL refuses to run as root. Data that exists already belongs to the user
// that it was made by, whoever that was.
func chooseAccount(dataDir string) (*account, error) {
	if os.Geteuid() != 0 {
		return &account{name: "uid " + strconv.Itoa(os.Geteuid())}, nil
	}
	info, err := os.Stat(dataDir)
	if err == nil {
		return ownerOf(info)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range []string{"postgres", "nobody"} {
		if found, err := user.Lookup(name); err == nil {
			return accountOf(found)
		}
	}
	return nil, errors.New(`PostgreSQL does not run as root, and this machine has neither a user "postgres" nor a user "nobody" to run it as: add one (useradd --system postgres), or run this as an ordinary user`)
}

func ownerOf(info os.FileInfo) (*account, error) {
	owner, known := info.Sys().(*syscall.Stat_t)
	if !known || owner.Uid == 0 {
		return nil, fmt.Errorf("%s belongs to root, and PostgreSQL does not run as root: give it to another user (chown -R postgres)", info.Name())
	}
	return &account{
		name:       "uid " + strconv.FormatUint(uint64(owner.Uid), 10),
		credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid},
	}, nil
}

func accountOf(found *user.User) (*account, error) {
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has the number %q: %w", found.Username, found.Uid, err)
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s has the group number %q: %w", found.Username, found.Gid, err)
	}
	return &account{
		name:       found.Username,
		credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
	}, nil
}

// Run as the account. A folder that this program may enter may be closed to the
// account, so the working folder is always given.
func (a *account) prepare(cmd *exec.Cmd, workDir string) *exec.Cmd {
	cmd.Dir = workDir
	cmd.Env = serverEnvironment()
	if a.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential}
	}
	return cmd
}

// reaches tells whether the account can use what is in a folder. Only trying
// tells: access lists and mounts count as well as the modes of all parents.
func (a *account) reaches(dir string) bool {
	return a.prepare(exec.Command("/bin/sh", "-c", ":"), dir).Run() == nil
}

func (a *account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Lchown(path, int(a.credential.Uid), int(a.credential.Gid))
}

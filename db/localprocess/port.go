package localprocess

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

const loopback = "127.0.0.1"

// PortInUseError says that a port that was asked for belongs to another
// program. Purpose names what it was wanted for.
type PortInUseError struct {
	Port    int
	Purpose string
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d, wanted for %s, is in use by another program: stop that program or choose another port", e.Port, e.Purpose)
}

// Address is the loopback address of a port.
func Address(port int) string {
	return net.JoinHostPort(loopback, strconv.Itoa(port))
}

// MayListen says whether there is a port of that number on which every user may
// listen: one below 1024 is for some only.
func MayListen(port int) bool { return port >= 1024 && port <= 65535 }

// CheckPort returns a *PortInUseError when another program listens on the port,
// and an error that gives the range when it is none that MayListen.
func CheckPort(port int, purpose string) error {
	if !MayListen(port) {
		return fmt.Errorf("port %d, wanted for %s, is not between 1024 and 65535", port, purpose)
	}
	listener, err := net.Listen("tcp4", Address(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return &PortInUseError{Port: port, Purpose: purpose}
	}
	if err != nil {
		return fmt.Errorf("cannot listen on port %d for %s: %w", port, purpose, err)
	}
	return listener.Close()
}

// FreePorts finds ports on which nobody listens, each different. Somebody else
// may take one before it is used: a caller tries again then.
func FreePorts(count int) ([]int, error) {
	ports := make([]int, 0, count)
	for range count {
		listener, err := net.Listen("tcp4", Address(0))
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port on %s: %w", loopback, err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

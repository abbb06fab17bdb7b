// Package loopback serves simulated sources on this machine.
package loopback

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Listen serves handler on address, such as "127.0.0.1:0", until the returned
// stop is called, and returns the URL of its root.
func Listen(address string, handler http.Handler) (root *url.URL, stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}, stop, nil
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// clientSecret reads the client secret from a file ("-" is standard input),
// from JAMF_CLIENT_SECRET, or from a prompt without echo.
func (a *app) clientSecret(file string) (string, error) {
	secret, err := a.readSecret(file)
	if err != nil {
		return "", err
	}
	if secret = strings.TrimSpace(secret); secret == "" {
		return "", usagef("the client secret is empty")
	}
	return secret, nil
}

func (a *app) readSecret(file string) (string, error) {
	if file == "-" {
		content, err := io.ReadAll(io.LimitReader(a.in, 64<<10))
		return string(content), err
	}
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", &failure{Code: "usage", Message: err.Error(), Hint: "--client-secret-file names a file that holds the client secret and nothing else"}
		}
		return string(content), nil
	}
	if secret, ok := os.LookupEnv("JAMF_CLIENT_SECRET"); ok {
		return secret, nil
	}
	terminal, ok := a.terminal()
	if !ok {
		return "", &failure{Code: "usage", Message: "no client secret", Hint: "pass --client-secret-file, or set JAMF_CLIENT_SECRET"}
	}
	fmt.Fprint(a.err, "Client secret (not shown): ")
	content, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(a.err)
	return string(content), err
}

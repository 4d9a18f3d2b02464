package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/wreg-project/wreg/artifact/ref"
	"github.com/wreg-project/wreg/internal/term"
	"github.com/wreg-project/wreg/registry/client"
)

// maxPassword bounds a password in bytes; identity tokens are the longest.
const maxPassword = 64 << 10

// session is what login and logout changed.
type session struct {
	Registry string `json:"registry"`
	User     string `json:"user,omitempty"`
	Status   string `json:"status"` // "logged in" or "logged out"
}

func (t *tool) loginCommand() *cli.Command {
	var user string
	var fromStdin bool
	return &cli.Command{
		Name:      "login",
		Usage:     "store a credential for a registry",
		ArgsUsage: "[HOST]",
		Description: `The credential is checked with the registry and kept in Docker's credential
store: a helper of the system where there is one, else its configuration file.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Usage: "the `NAME` to log in with", Destination: &user},
			&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from standard input", Destination: &fromStdin},
		},
		Action: func(c *cli.Context) error {
			host, err := t.host(c)
			if err != nil {
				return err
			}
			cred, err := t.askCredential(user, fromStdin)
			if err != nil {
				return err
			}
			store, err := client.OpenCredentials()
			if err != nil {
				return fmt.Errorf("credential store: %w", err)
			}
			if err := t.client().Login(c.Context, store, host, cred); err != nil {
				return refusedLogin(host, err)
			}
			return t.emit(session{host, cred.Username, "logged in"}, [][]string{{"REGISTRY", "USER", "STATUS"}, {host, cred.Username, "logged in"}})
		},
	}
}

func (t *tool) logoutCommand() *cli.Command {
	return &cli.Command{
		Name:      "logout",
		Usage:     "forget the credential of a registry",
		ArgsUsage: "[HOST]",
		Action: func(c *cli.Context) error {
			host, err := t.host(c)
			if err != nil {
				return err
			}
			store, err := client.OpenCredentials()
			if err != nil {
				return fmt.Errorf("credential store: %w", err)
			}
			if err := client.Logout(c.Context, store, host); err != nil {
				return fmt.Errorf("logout %s: %w", host, err)
			}
			return t.emit(session{Registry: host, Status: "logged out"}, [][]string{{"REGISTRY", "STATUS"}, {host, "logged out"}})
		},
	}
}

// refusedLogin says why there is no session. To log in is no advice here.
func refusedLogin(host string, err error) error {
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusUnauthorized {
		return &hinted{fmt.Errorf("login %s: %w", host, err), "nothing was stored; check name and password"}
	}
	return fmt.Errorf("login %s: %w", host, err)
}

// host is the argument of a command about a registry, or the default one.
func (t *tool) host(c *cli.Context) (string, error) {
	if err := arguments(c, 0, 1); err != nil {
		return "", err
	}
	cfg, err := t.config()
	if err != nil {
		return "", err
	}
	host := strings.TrimSuffix(c.Args().First(), "/")
	if host == "" {
		return t.defaultRegistry(cfg), nil
	}
	if err := ref.CheckHost(host); err != nil {
		return "", usagef("%s: %v", c.Command.Name, err)
	}
	return host, nil
}

// errNoTerminal is of a question that nobody sees.
var errNoTerminal = errors.New("there is no terminal to ask")

// secret asks for what is typed on the terminal without being shown. Without one,
// the error is errNoTerminal.
func (t *tool) secret(prompt string) ([]byte, error) {
	tty, ok := t.in.(*os.File)
	if !ok || !term.IsTerminal(t.in) {
		return nil, errNoTerminal
	}
	fmt.Fprint(t.err, prompt+": ")
	s, err := term.ReadPassword(tty)
	fmt.Fprintln(t.err)
	return []byte(s), err
}

// askCredential reads what was not given: the name from the terminal, the
// password from there without showing it, or from standard input.
func (t *tool) askCredential(user string, fromStdin bool) (auth.Credential, error) {
	ok := term.IsTerminal(t.in)
	if user == "" {
		if fromStdin || !ok {
			return auth.EmptyCredential, &usageError{text: "login: who?", hint: "--username NAME"}
		}
		fmt.Fprint(t.err, "Username: ")
		line, err := bufio.NewReader(t.in).ReadString('\n')
		if err != nil {
			return auth.EmptyCredential, err
		}
		user = strings.TrimSpace(line)
	}
	var password string
	switch {
	case fromStdin:
		b, err := io.ReadAll(io.LimitReader(t.in, maxPassword))
		if err != nil {
			return auth.EmptyCredential, fmt.Errorf("password: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	case ok:
		b, err := t.secret("Password")
		if err != nil {
			return auth.EmptyCredential, fmt.Errorf("password: %w", err)
		}
		password = string(b)
	default:
		return auth.EmptyCredential, &usageError{text: "login: there is no terminal to ask for the password", hint: "--password-stdin reads it from standard input"}
	}
	if user == "" || password == "" {
		return auth.EmptyCredential, errors.New("login: a name and a password are needed")
	}
	return auth.Credential{Username: user, Password: password}, nil
}

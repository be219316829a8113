package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed c py
var sources embed.FS

// builds are the C programs and how each is built.
var builds = map[string][]string{
	"lock":      {"-O2", "c/lock.c"},
	"contend":   {"-O2", "c/contend.c"},
	"recover":   {"-O2", "c/recover.c"},
	"primitive": {"-O2", "c/primitive.c"},
	"together":  {"-O2", "c/together.c"},
	"square-O2": {"-O2", "c/square.c"},
	"square-O3": {"-O3", "c/square.c"},
	"start":     {"-O2", "-static", "c/start.c"},
	"ring":      {"-O2", "c/ring.c"},
	"stream":    {"-O2", "c/stream.c"},
	"trip":      {"-O2", "c/trip.c"},
}

// programs are the peers in other languages. Each prints its figures, one on a
// line.
type programs struct {
	dir    string
	python string // "" if there is none
}

const noPython = "no python3"

// buildPrograms unpacks the sources into a directory of their own and compiles
// them. The caller must remove it.
func buildPrograms(ctx context.Context) (_ *programs, err error) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		return nil, errors.New("the C programs to compare with need gcc and the C library's headers: apt-get install gcc libc6-dev")
	}
	dir, err := os.MkdirTemp("", "multiproc-bench-")
	if err != nil {
		return nil, err
	}
	p := &programs{dir: dir}
	defer func() {
		if err != nil {
			p.remove()
		}
	}()
	if err := os.CopyFS(dir, sources); err != nil {
		return nil, err
	}
	for name, args := range builds {
		cmd := exec.CommandContext(ctx, gcc, append(args, "-pthread", "-o", name)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
	if err := p.buildBoost(ctx); err != nil {
		return nil, err
	}
	if p.python, err = exec.LookPath("python3"); err != nil {
		p.python = ""
	}
	return p, nil
}

// buildBoost compiles the one program in C++.
func (p *programs) buildBoost(ctx context.Context) error {
	const packages = "apt-get install g++ libboost-dev"
	gxx, err := exec.LookPath("g++")
	if err != nil {
		return errors.New("the queue of Boost to compare with needs g++ and Boost's headers: " + packages)
	}
	cmd := exec.CommandContext(ctx, gxx, "-O2", "-pthread", "-o", "boost", "c/boost.cpp")
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w; are Boost's headers there? %s\n%s", strings.Join(cmd.Args, " "), err, packages, out)
	}
	return nil
}

func (p *programs) remove() { _ = os.RemoveAll(p.dir) } // in the system's temporary directory

// c is a contender that runs a C program once a round.
func (p *programs) c(name, program string, args ...string) *contender {
	return &contender{Name: name, run: p.runner(filepath.Join(p.dir, program), args...)}
}

// py is a contender that runs a Python script once a round.
func (p *programs) py(name, script string, args ...string) *contender {
	c := &contender{Name: name, run: p.runner(p.python, append([]string{filepath.Join(p.dir, "py", script)}, args...)...)}
	if p.python == "" {
		c.Absent = noPython
	}
	return c
}

func (p *programs) runner(program string, args ...string) func(context.Context) ([]float64, error) {
	return func(ctx context.Context) ([]float64, error) {
		cmd := exec.CommandContext(ctx, program, args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
		}
		var figures []float64
		for line := range strings.Lines(stdout.String()) {
			x, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
			if err != nil {
				return nil, fmt.Errorf("%s printed %q", strings.Join(cmd.Args, " "), line)
			}
			figures = append(figures, x)
		}
		return figures, nil
	}
}

// versions names the peers.
func (p *programs) versions(ctx context.Context) (versions []string) {
	for _, command := range [][]string{
		{"gcc", "--version"},
		{"getconf", "GNU_LIBC_VERSION"},
		{p.python, "--version"},
	} {
		if command[0] == "" {
			versions = append(versions, noPython)
			continue
		}
		versions = append(versions, firstLine(ctx, command...))
	}
	return append(versions, "Boost "+boostVersion(ctx))
}

// boostVersion asks the headers.
func boostVersion(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "g++", "-E", "-P", "-x", "c++", "-include", "boost/version.hpp", "-")
	cmd.Stdin = strings.NewReader("BOOST_LIB_VERSION\n")
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.Trim(strings.TrimSpace(string(out)), `"`)
}

// firstLine is what a command says about itself, "" if it fails.
func firstLine(ctx context.Context, command ...string) string {
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

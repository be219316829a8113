// Package proctest runs helper processes for tests that need more than one.
//
// A helper is a function registered beside the test that uses it. [Program.Start]
// runs it in a process of its own, which is the test binary again:
//
//	var adder = proctest.Register("adder", func(h *proctest.Helper) error {
//		words := mapShared(h.Files[0])
//		h.Ready() // all adders go on together
//		words.add(h.Args[0])
//		return nil
//	})
//
//	func TestMain(m *testing.M) { proctest.Main(m) }
//
//	func TestAdd(t *testing.T) {
//		a := adder.Start(t, files, "1000")
//		b := adder.Start(t, files, "1000")
//		proctest.Gate(t, a, b)
//		require.NoError(t, a.Wait(t))
//		require.NoError(t, b.Wait(t))
//	}
//
// Without the gate a helper is often done before the next one is up, and a test
// of a lock passes with a broken lock.
//
// Helpers never outlive the test: each is killed and reaped by its clean-up, and
// dies with the test binary if that ends first, for example by a time-out.
package proctest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// A Program is a function that helper processes run.
type Program struct {
	name    string
	run     func(*Helper) error
	started atomic.Bool
}

var (
	programs = map[string]*Program{} // written by package initialisation only
	inMain   atomic.Bool             // Main has begun: a re-exec would find it
)

// Register names fn, so that helper processes can run it. It is called while
// packages are initialised. A name that is taken panics.
//
// A helper whose function returns nil exits with status 0, else with status 1
// and the error on standard error.
func Register(name string, fn func(*Helper) error) *Program {
	if programs[name] != nil {
		panic("proctest: helper " + name + " is registered twice")
	}
	p := &Program{name: name, run: fn}
	programs[name] = p
	return p
}

// Main is the body of TestMain. In a helper it runs the helper. In the test
// binary it runs the tests, and if they passed it fails the run when
//   - a registered helper was never started, though no flag selected tests,
//   - a child process, an open descriptor or a name in /dev/shm was left behind
//     (the roster, which lives as long as the process, aside).
//
// Main does not return.
func Main(m *testing.M) {
	if name, ok := strings.CutPrefix(os.Args[0], argv0); ok {
		os.Exit(runHelper(name))
	}
	inMain.Store(true)
	// Under the race detector each helper would wait a second before its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		fmt.Fprintln(os.Stderr, "proctest:", err)
		os.Exit(1)
	}
	before := look()
	code := m.Run()
	if code != 0 || selected("fuzz") {
		os.Exit(code)
	}
	complaints := before.leaks()
	if !selected("run", "skip", "bench", "list") {
		complaints = append(complaints, unused()...)
	}
	for _, c := range complaints {
		fmt.Fprintln(os.Stderr, "FAIL: proctest:", c)
		code = 1
	}
	os.Exit(code)
}

// selected reports whether one of the test flags was given a value.
func selected(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return flag.Lookup("test."+name).Value.String() != ""
	})
}

// unused has a complaint for each program that no test started.
func unused() (complaints []string) {
	for name, p := range programs {
		if !p.started.Load() {
			complaints = append(complaints, "no test started the helper "+name)
		}
	}
	slices.Sort(complaints)
	return complaints
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A bench builds and runs tests of broken packages, several at a time.
type bench struct {
	dir     string   // for overlays and test programs
	sound   sync.Map // tests without the mutant, each run once: functions that return an outcome
	built   atomic.Int64
	verbose bool
}

// A verdict says whether a mutant was caught, and by what.
type verdict struct {
	caught bool
	how    string
}

// judge tries one mutant. Its test must pass first without it.
func (b *bench) judge(ctx context.Context, m mutant) verdict {
	run, _ := b.sound.LoadOrStore(fmt.Sprint(m.pkg, m.tags, m.test, m.without), sync.OnceValues(func() (outcome, error) {
		return b.test(ctx, m, m.without)
	}))
	sound, err := run.(func() (outcome, error))()
	switch {
	case err != nil:
		return verdict{how: fmt.Sprintf("%s without it: %v", m.test, err)}
	case sound.failed:
		return verdict{how: fmt.Sprintf("%s %s without it as well:\n%s", m.test, sound.how, sound.output)}
	case !sound.ran:
		return verdict{how: fmt.Sprintf("there is no %s", m.test)}
	}
	broken, err := b.test(ctx, m, slices.Concat(m.edits, m.without))
	if err != nil {
		return verdict{how: err.Error()}
	}
	if b.verbose {
		fmt.Print(broken.output)
	}
	if !broken.failed {
		return verdict{how: m.test + " passes"}
	}
	if broken.hung && sound.took > m.patience()/2 {
		return verdict{how: fmt.Sprintf("%s %s, but takes %v without it: it may be slow", m.test, broken.how, sound.took)}
	}
	how := fmt.Sprintf("%s %s", m.test, broken.how)
	if len(m.without) > 0 {
		how += ", with the back-up gone"
	}
	return verdict{true, how}
}

// An outcome is how a test went.
type outcome struct {
	ran, failed bool
	hung        bool // and so it failed
	took        time.Duration
	how         string
	output      string
}

// test runs the mutant's test in a tree with the edits. A test that does not end
// in time has failed: a lock that is never got hangs.
func (b *bench) test(ctx context.Context, m mutant, edits []edit) (outcome, error) {
	program, err := b.build(ctx, m, edits)
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = os.Remove(program) }()
	limited, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	begin := time.Now()
	cmd := exec.CommandContext(limited, program, "-test.v", "-test.run", exactly(m.test))
	cmd.Dir = m.pkg
	cmd.Env = append(os.Environ(), "MULTIPROC_KILLS=800") // of the campaigns of make stress, which see what happens to happen
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// Its helpers are in its group, and die with it at the latest.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var left []string
	cmd.Cancel = func() error {
		left = rostersOf(cmd.Process.Pid)
		return unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	for _, dir := range left {
		_ = os.RemoveAll(dir) // at worst it stays
	}
	o := outcome{
		ran:    strings.Contains(output.String(), "=== RUN   "+m.test),
		failed: err != nil,
		output: output.String(),
	}
	o.took = time.Since(begin).Round(100 * time.Millisecond)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case limited.Err() != nil:
		o.hung, o.how = true, fmt.Sprintf("hangs (%v)", m.patience())
	case errors.As(err, &exit):
		o.how = fmt.Sprintf("fails (%v)", o.took)
	case err != nil:
		return o, err
	}
	return o, nil
}

// rostersOf returns the directories of rosters that a test has made for itself and
// has open. A test that is killed does not remove them.
func rostersOf(pid int) (dirs []string) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is sound
	for _, link := range links {
		target, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(target, "/dev/shm/multiproc-test-") {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	return dirs
}

// exactly returns the regular expression of one test or subtest.
func exactly(test string) string {
	return "^" + strings.ReplaceAll(test, "/", "$/^") + "$"
}

// build makes the test program of a package with the edits.
func (b *bench) build(ctx context.Context, m mutant, edits []edit) (string, error) {
	prefix := filepath.Join(b.dir, strconv.FormatInt(b.built.Add(1), 10))
	files, err := apply(edits)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range files {
		path, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		replace[path] = fmt.Sprintf("%s-%d.go", prefix, len(replace))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(prefix+".json", overlay, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", prefix+".json", "-tags", m.tags, "-o", prefix+".test", "./"+m.pkg)
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, output)
	}
	return prefix + ".test", nil
}

// apply returns the files that the edits change, with their new texts. Each old
// text must be there exactly once.
func apply(edits []edit) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range edits {
		text, read := files[e.file]
		if !read {
			data, err := os.ReadFile(e.file)
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("its text is %d times in %s, not once:\n%s", n, e.file, e.old)
		}
		files[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return files, nil
}

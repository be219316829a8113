package proc

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lastWordsSize is how much of what a worker writes to its standard error is
	// kept.
	lastWordsSize = 4096

	// pipeSize is how much a pipe holds: no more can be a dead worker's.
	pipeSize = 1 << 16
)

// lastWordsWait is how long the end of a worker waits for what it has written:
// whoever reads this process's standard error may not.
var lastWordsWait = time.Second

// lastWords passes on what a worker writes to its standard error, and keeps the
// end of it.
type lastWords struct {
	pipe *os.File
	to   io.Writer
	done chan struct{}

	over  atomic.Bool // the worker has ended
	mu    sync.Mutex
	kept  []byte
	cause string // the first line of what may be the Go runtime's own last words
}

// An oneByOne passes on one write at a time.
type oneByOne struct {
	mu sync.Mutex
	to io.Writer
}

// Write writes to what it passes on to.
func (w *oneByOne) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// newLastWords returns the file that is to be the worker's standard error. What is
// written there goes on to a writer.
func newLastWords(to io.Writer) (*lastWords, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("pipe for a worker's standard error: %w", err)
	}
	_ = unix.SetNonblock(fds[0], true) // a new pipe: it cannot fail
	l := &lastWords{pipe: os.NewFile(uintptr(fds[0]), "stderr of a worker"), to: to, done: make(chan struct{})}
	go l.copy()
	return l, os.NewFile(uintptr(fds[1]), "stderr of a worker"), nil
}

// copy copies until nobody has the other end, or last is called.
func (l *lastWords) copy() {
	defer func() {
		close(l.done)
		_ = l.pipe.Close()
	}()
	raw, err := l.pipe.SyscallConn()
	if err != nil {
		return // it is closed already
	}
	if raw.Read(func(fd uintptr) bool { return l.drain(int(fd)) }) != nil { // the worker has died; processes that it started may live on
		_ = raw.Control(func(fd uintptr) { l.drain(int(fd)) })
	}
}

// drain reads all there is, and once last was called no more than a pipe holds:
// processes that the worker has started may write on. It reports whether that was
// the end.
func (l *lastWords) drain(fd int) (end bool) {
	b := make([]byte, lastWordsSize)
	for left := pipeSize; left > 0; {
		n, err := unix.Read(fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != nil || n == 0:
			return true
		}
		l.keep(b[:n])
		_, _ = l.to.Write(b[:n]) // as if the worker had written it there itself
		if l.over.Load() {
			left -= n
		}
	}
	return true
}

// keep keeps the end of what was written.
func (l *lastWords) keep(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, b...)
	l.findCause()
	l.kept = l.kept[max(0, len(l.kept)-lastWordsSize):]
}

// last ends the copying, when the worker has ended with a code, and returns what
// was kept.
func (l *lastWords) last(code int) string {
	l.over.Store(true)
	_ = l.pipe.SetReadDeadline(time.Unix(1, 0)) // a pipe has deadlines
	select {
	case <-l.done:
	case <-time.After(lastWordsWait):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if byRuntime(code) && l.cause != "" && !strings.Contains(string(l.kept), l.cause) {
		return l.cause + "\n[...]\n" + string(l.kept)
	}
	return string(l.kept)
}

// byRuntime reports whether an exit code is one with which the Go runtime ends a
// process: of any other, a panic among the last words is an old one.
func byRuntime(code int) bool { return code == exitPanic || code == -int(unix.SIGABRT) }

// runtimeWords begin the line in which the Go runtime says why it ends the process.
var runtimeWords = []string{"fatal error: ", "panic: ", "SIG"}

// findCause keeps the last line that may be the one in which the Go runtime says
// why it ends the process: the stacks of all goroutines come after it.
func (l *lastWords) findCause() {
	for line := range bytes.Lines(l.kept) {
		if bytes.HasSuffix(line, []byte("\n")) && isCause(string(line)) {
			l.cause = string(line[:len(line)-1])
		}
	}
}

func isCause(line string) bool {
	return slices.ContainsFunc(runtimeWords, func(word string) bool { return strings.HasPrefix(line, word) })
}

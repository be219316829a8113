package proctest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The command line of a helper is argv0+name, the number of files, the
// arguments. Standard input and output carry one line a message; those of the
// gate start with a byte that no sensible line starts with.
const (
	argv0     = "proctest:"
	firstFile = 3
	readyLine = "\x01ready"
	goLine    = "\x01go"
)

// A Helper is what a helper process sees of the test that started it.
type Helper struct {
	Args  []string   // as given to Start
	Files []*os.File // as given to Start; close-on-exec

	in chan string
}

func runHelper(name string) int {
	p := programs[name]
	if p == nil {
		fmt.Fprintf(os.Stderr, "proctest: no helper is named %q\n", name)
		return 1
	}
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "proctest: helper %s: number of files: %v\n", name, err)
		return 1
	}
	h := &Helper{Args: os.Args[2:], in: make(chan string, 1024)}
	for fd := firstFile; fd < firstFile+n; fd++ {
		unix.CloseOnExec(fd)
		h.Files = append(h.Files, os.NewFile(uintptr(fd), "file "+strconv.Itoa(fd-firstFile)))
	}
	go h.receive()
	if err := p.run(h); err != nil {
		fmt.Fprintf(os.Stderr, "proctest: helper %s: %v\n", name, err)
		return 1
	}
	return 0
}

// receive reads lines from the test. Standard input is the lifeline as well:
// its end means that the test is gone.
func (h *Helper) receive() {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		h.in <- in.Text()
	}
	os.Exit(1)
}

// Ready tells the test that this helper has made its preparations, and blocks
// until the test opens the gate.
func (h *Helper) Ready() {
	h.Say(readyLine)
	if line := <-h.in; line != goLine {
		h.fail(fmt.Sprintf("waits for the gate but was told %q", line))
	}
}

// Say sends a line of at most 64 KiB to the test. What the helper prints to standard output by
// other means arrives in the same way.
func (h *Helper) Say(line string) {
	if _, err := fmt.Println(line); err != nil {
		h.fail("cannot speak to the test: " + err.Error())
	}
}

// Listen blocks until the test sends a line with Tell. It is an error if the
// test opens the gate instead.
func (h *Helper) Listen() (string, error) {
	line := <-h.in
	if line == goLine {
		return "", errors.New("the gate was opened for a helper that listens for a line")
	}
	return line, nil
}

// fail ends the helper: the conversation with the test has broken down.
func (h *Helper) fail(why string) {
	fmt.Fprintf(os.Stderr, "proctest: helper %d: %s\n", os.Getpid(), why)
	os.Exit(1)
}

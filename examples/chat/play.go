package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// play runs a scene. Each of the three is a program of its own.
func play() error {
	address := fmt.Sprintf("@chat %d", os.Getpid())
	server, err := enter("server", "serve", address)
	if err != nil {
		return err
	}
	server.show()

	ada, err := enter("ada", "join", address, "ada")
	if err != nil {
		return err
	}
	server.show()
	bob, err := enter("bob", "join", address, "bob")
	if err != nil {
		return err
	}
	server.show()
	ada.show()

	ada.say("hello, who is there?")
	bob.show()
	bob.say("it is me, Bob")
	ada.show()

	fmt.Println("(bob is killed)")
	if err := bob.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = bob.cmd.Wait() // signal: killed
	server.show()
	ada.show()

	if err := ada.in.Close(); err != nil {
		return err
	}
	server.show()
	if err := ada.cmd.Wait(); err != nil {
		return err
	}
	return server.cmd.Wait()
}

// An actor is one program of the scene.
type actor struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func enter(name string, args ...string) (*actor, error) {
	a := &actor{name: name, cmd: exec.Command("/proc/self/exe", args...)}
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.out = bufio.NewScanner(out)
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return a, a.cmd.Start()
}

// show prints the next line that the actor prints.
func (a *actor) show() {
	a.out.Scan()
	fmt.Printf("%6s| %s\n", a.name, a.out.Text())
}

func (a *actor) say(text string) {
	_, err := fmt.Fprintln(a.in, text)
	check(err)
}

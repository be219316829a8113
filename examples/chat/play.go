package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// play runs a scene. Each of the four is a program of its own.
func play() error {
	address := fmt.Sprintf("@chat %d", os.Getpid())
	server, err := enter("server", "serve", address)
	if err != nil {
		return err
	}
	hear(server)
	all := []*actor{server}
	for _, name := range []string{"ada", "bob", "eve"} {
		guest, err := enter(name, "join", address, name)
		if err != nil {
			return err
		}
		hear(all...)
		all = append(all, guest)
	}
	ada, bob, eve := all[1], all[2], all[3]

	ada.say("hello, who is there?")
	hear(bob, eve)
	bob.say("it is me, Bob")
	hear(ada, eve)

	fmt.Println("(ada leaves)")
	if err := ada.in.Close(); err != nil {
		return err
	}
	hear(server, bob, eve)
	if err := ada.cmd.Wait(); err != nil {
		return err
	}
	fmt.Println("(bob is killed)")
	if err := bob.kill(); err != nil {
		return err
	}
	hear(server, eve)
	fmt.Println("(the server is killed)")
	if err := server.kill(); err != nil {
		return err
	}
	hear(eve)
	_ = eve.cmd.Wait() // exit status 1: the server has gone
	return nil
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
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.cmd.Stderr = a.cmd.Stdout
	a.out = bufio.NewScanner(out)
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return a, a.cmd.Start()
}

// hear prints the next line that each actor prints.
func hear(actors ...*actor) {
	for _, a := range actors {
		a.out.Scan()
		fmt.Printf("%6s| %s\n", a.name, a.out.Text())
	}
}

func (a *actor) say(text string) {
	_, err := fmt.Fprintln(a.in, text)
	check(err)
}

func (a *actor) kill() error {
	err := a.cmd.Process.Kill()
	_ = a.cmd.Wait() // signal: killed
	return err
}

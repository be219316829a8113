package proc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// Functions that child processes run are registered in package-level variables.
var squareAll = proc.RegisterTask("square all", func(_ context.Context, a *shm.Array[int32]) error {
	a.Do(func(v []int32) {
		for i := range v {
			v[i] *= v[i]
		}
	})
	return nil
})

// A child process squares the numbers of a shared array. The main function
// calls proc.Main first, as TestMain does here.
func Example() {
	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = numbers.Close() }()

	p, err := squareAll.Start(context.Background(), numbers, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := p.Join(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(numbers.Copy())
	// Output: [4 9 36 49]
}

var greet = proc.Register("greet", func(_ context.Context, name string) (string, error) {
	return "hello " + name + " from " + proc.Current().Name, nil
})

// A function has an argument and a result of any type that can travel.
func ExampleRegister() {
	c, err := greet.Start(context.Background(), "bob", &proc.Options{Name: "greeter"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Result(context.Background()))
	// Output: hello bob from greeter <nil>
}

var open = proc.RegisterTask("open", func(_ context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
})

// An error of another process says what it was and what it is known as.
func ExampleRemoteError() {
	c, err := open.Start(context.Background(), "/does/not/exist", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Join(context.Background())
	var remote *proc.RemoteError
	if errors.As(err, &remote) {
		fmt.Println(remote.Text, remote.Type)
	}
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// open /does/not/exist: no such file or directory *fs.PathError
	// true
}

// A process that ends without a word says at least how.
func ExampleExitError() {
	c, err := leave.Start(context.Background(), "exit 3", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Join(context.Background())
	var exit *proc.ExitError
	if errors.As(err, &exit) {
		fmt.Println(exit.Code)
	}
	// Output: 3
}

// A panic ends one process, not its parent.
func ExamplePanicError() {
	c, err := leave.Start(context.Background(), "panic", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Join(context.Background())
	var p *proc.PanicError
	if errors.As(err, &p) {
		fmt.Println(p.Value, p.Stack != "")
	}
	// Output: on purpose true
}

// Unlike a goroutine a process can be ended from outside.
func ExampleProcess_Terminate() {
	c, err := idle.Start(context.Background(), struct{}{}, &proc.Options{Grace: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Terminate()
	<-c.Done()
	code, _ := c.ExitCode()
	fmt.Println("code", code)
	// Output: code -15
}

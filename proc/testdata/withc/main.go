// Withc has C code run in another process.
package main

/*
#include <stdlib.h>

static int square(int x) { return x * x; }
static int child(void) { return getenv("MULTIPROC_CHILD") != NULL; }
*/
import "C"

import (
	"context"
	"fmt"
	"os"

	"github.com/go-multiproc/multiproc/proc"
)

type answer struct {
	Square   int
	Variable bool // what C code sees of ours
}

var square = proc.Register("square", func(_ context.Context, x int) (answer, error) {
	return answer{int(C.square(C.int(x))), C.child() != 0}, nil
})

var abort = proc.RegisterTask("abort", func(context.Context, struct{}) error {
	C.abort()
	return nil
})

func main() {
	proc.Main()
	if err := run(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run() error {
	c, err := square.Start(context.Background(), 12, nil)
	if err != nil {
		return err
	}
	a, err := c.Result(context.Background())
	if err != nil {
		return err
	}
	fmt.Printf("%+v\n", a)

	// A crash of C code is that of one process.
	crash, err := abort.Start(context.Background(), struct{}{}, nil)
	if err != nil {
		return err
	}
	fmt.Println(crash.Join(context.Background()) != nil)
	return nil
}

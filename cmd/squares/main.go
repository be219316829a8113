// Squares squares numbers: worker processes do it, in place, in one array that
// lies in shared memory.
//
//	$ squares 2 3 6 7
//	[4, 9, 36, 49]
//
// Its -help lists the options.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-multiproc/multiproc/proc"
)

// statusInterrupted is what shells report for a program that Ctrl-C ended.
const statusInterrupted = 130

func main() {
	proc.Main()
	err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout)
	if err == nil {
		return
	}
	// A file's name may hold a line break; the error is one line all the same.
	fmt.Fprintln(os.Stderr, "squares:", strings.ReplaceAll(err.Error(), "\n", " "))
	if errors.Is(err, errInterrupted) {
		os.Exit(statusInterrupted)
	}
	os.Exit(1)
}

// run is the program. It writes nothing to out unless everything went well.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(out, usage)
		return err
	}
	if err != nil {
		return err
	}
	return programs[o.code](ctx, o, in, out)
}

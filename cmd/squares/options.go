package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

const usage = `usage: squares [option ...] [number ...]

Squares numbers and prints them as Python prints a list. Worker processes do the
work, in one array that lies in shared memory. The numbers are those of the
command line; if it has none they are read from standard input.

  -in FILE      read the numbers from FILE, separated by white space
  -n N          take the numbers 0 to N-1 instead, for measuring
  -type CODE    their type, by Python's code: b B h H i I l L q Q f d
                (default i, a C int)
  -workers N    how many processes work at a time, each on a range of its own
                (default: the CPUs that this process may use)
  -per-element  start one process for each number, -workers at a time
  -wrap         let squares wrap around as they do in C, or become infinite;
                otherwise one that does not fit is an error
  -stats        instead of the squares print their number, the workers, the time
                from the first worker's start to the last one's end, elements
                per second, and a checksum: the sum of the squares, of integers
                modulo 2^64, of floating-point numbers added in their order as
                doubles
`

// options are the command line.
type options struct {
	words      []string // the numbers, as they were typed
	in         string   // a file's name; "" without -in
	n          int      // -1 without -n
	code       shm.Code
	workers    int
	perElement bool
	wrap       bool
	stats      bool
}

func parseOptions(args []string) (*options, error) {
	o := new(options)
	fs := flag.NewFlagSet("squares", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the error that Parse returns is enough
	fs.StringVar(&o.in, "in", "", "")
	fs.IntVar(&o.n, "n", -1, "")
	fs.IntVar(&o.workers, "workers", proc.CPUCount(), "")
	fs.BoolVar(&o.perElement, "per-element", false, "")
	fs.BoolVar(&o.wrap, "wrap", false, "")
	fs.BoolVar(&o.stats, "stats", false, "")
	code := fs.String("type", "i", "")

	flags, words := sortOut(fs, args)
	if err := fs.Parse(flags); err != nil {
		return nil, err
	}
	o.words = words
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })

	var err error
	if o.code, err = shm.ParseCode(*code); err != nil {
		return nil, fmt.Errorf("-type: %w", err)
	}
	switch {
	case o.workers < 1:
		return nil, fmt.Errorf("-workers %d: at least 1 is needed", o.workers)
	case given["n"] && o.n < 0:
		return nil, fmt.Errorf("-n %d: a number of elements is not negative", o.n)
	case given["in"] && given["n"], given["in"] && len(words) > 0, given["n"] && len(words) > 0:
		return nil, errors.New("numbers come from the command line, from -in, or from -n: choose one")
	case given["in"] && o.in == "":
		return nil, errors.New("-in: the file's name is empty")
	}
	return o, nil
}

// sortOut separates flags, which may stand anywhere, from numbers, which may be
// negative: a dash before a digit or a point begins no flag. After -- there are
// only numbers.
func sortOut(fs *flag.FlagSet, args []string) (flags, words []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return flags, append(words, args[i+1:]...)
		}
		if len(arg) < 2 || arg[0] != '-' || arg[1] == '.' || '0' <= arg[1] && arg[1] <= '9' {
			words = append(words, arg)
			continue
		}
		flags = append(flags, arg)
		if takesNext(fs, arg) && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return flags, words
}

// takesNext reports whether the argument after a flag is the flag's value.
// Only a flag that is known, has no =, and is not boolean has it there.
func takesNext(fs *flag.FlagSet, arg string) bool {
	name := arg[1:]
	if name[0] == '-' {
		name = name[1:]
	}
	f := fs.Lookup(name)
	if f == nil {
		return false
	}
	_, boolean := f.Value.(interface{ IsBoolFlag() bool })
	return !boolean
}

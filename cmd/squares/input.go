package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-multiproc/multiproc/shm"
)

// A number is the type of an element: what Python's codes stand for.
type number interface {
	int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64 | float32 | float64
}

// load returns a shared array with the numbers that the options ask for. It has
// no lock: see [square].
func load[T number](o *options, in io.Reader) (*shm.Array[T], error) {
	unlocked := &shm.Options{NoLock: true}
	if o.n >= 0 {
		return count[T](o, unlocked)
	}
	l := list[T]{code: o.code}
	if err := l.read(o, in); err != nil {
		return nil, err
	}
	return shm.ArrayOf(l.values, unlocked)
}

// count makes the numbers 0 to N-1.
func count[T number](o *options, opts *shm.Options) (*shm.Array[T], error) {
	if last := o.n - 1; last >= 0 && float64(last) >= ceiling[T]() {
		return nil, fmt.Errorf("-n %d: %d is not %s", o.n, last, describe[T](o.code))
	}
	a, err := shm.NewArray[T](o.n, opts)
	if err != nil {
		return nil, err
	}
	v := a.View()
	for i := range v {
		v[i] = T(i)
	}
	return a, nil
}

// A list grows by numbers that are given as text.
type list[T number] struct {
	code   shm.Code
	values []T
}

func (l *list[T]) read(o *options, in io.Reader) error {
	for _, word := range o.words {
		if err := l.add(word); err != nil {
			return err
		}
	}
	if len(o.words) > 0 {
		return nil
	}
	if o.in != "" {
		f, err := os.Open(o.in)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return l.scan(in)
}

// scan adds the numbers of a text in which white space separates them.
func (l *list[T]) scan(in io.Reader) error {
	words := bufio.NewScanner(in)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		if err := l.add(string(words.Bytes())); err != nil {
			return err
		}
	}
	err := words.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("element %d: more than %d bytes without white space are not %s",
			len(l.values), bufio.MaxScanTokenSize, describe[T](l.code))
	}
	return err
}

func (l *list[T]) add(word string) error {
	x, err := parse[T](word)
	if err != nil {
		// The clone keeps the words of a long text off the heap.
		return fmt.Errorf("element %d: %.60q is not %s", len(l.values), strings.Clone(word), describe[T](l.code))
	}
	l.values = append(l.values, x)
	return nil
}

func parse[T number](word string) (T, error) {
	bits := reflect.TypeFor[T]().Bits()
	switch any(T(0)).(type) {
	case float32, float64:
		x, err := strconv.ParseFloat(word, bits)
		return T(x), err
	case int8, int16, int32, int64:
		x, err := strconv.ParseInt(word, 10, bits)
		return T(x), err
	default:
		x, err := strconv.ParseUint(strings.TrimPrefix(word, "+"), 10, bits)
		return T(x), err
	}
}

// describe says which numbers T has, as in "-1 is not an integer from 0 to 255
// (type B)".
func describe[T number](code shm.Code) string {
	bits := reflect.TypeFor[T]().Bits()
	switch any(T(0)).(type) {
	case float32, float64:
		return fmt.Sprintf("a floating-point number of %d bits (type %v)", bits, code)
	case int8, int16, int32, int64:
		return fmt.Sprintf("an integer from %d to %d (type %v)", int64(-1)<<(bits-1), uint64(1)<<(bits-1)-1, code)
	default:
		return fmt.Sprintf("an integer from 0 to %d (type %v)", uint64(math.MaxUint64)>>(64-bits), code)
	}
}

// ceiling is the first number above those of T: a power of two, and infinity
// for floating-point types.
func ceiling[T number]() float64 {
	bits := reflect.TypeFor[T]().Bits()
	switch any(T(0)).(type) {
	case float32, float64:
		return math.Inf(1)
	case int8, int16, int32, int64:
		return math.Ldexp(1, bits-1)
	default:
		return math.Ldexp(1, bits)
	}
}

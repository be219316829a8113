package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// writeList writes numbers as Python prints a list.
func writeList[T number](out io.Writer, v []T) error {
	const enough = 1 << 16
	b := append(make([]byte, 0, enough+64), '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendNumber(b, x)
		if len(b) >= enough {
			if _, err := out.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := out.Write(append(b, "]\n"...))
	return err
}

func appendNumber[T number](b []byte, x T) []byte {
	switch any(x).(type) {
	case float32, float64:
		return appendFloat(b, float64(x))
	case int8, int16, int32, int64:
		return strconv.AppendInt(b, int64(x), 10)
	default:
		return strconv.AppendUint(b, uint64(x), 10)
	}
}

// appendFloat appends what Python's repr gives: the shortest digits that are
// read back as x, always with a point or an exponent. Python has no narrower
// type: an element of a c_float array is printed as a double too.
func appendFloat(b []byte, x float64) []byte {
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return append(b, "nan"...)
	case math.IsInf(x, 1):
		return append(b, "inf"...)
	case math.IsInf(x, -1):
		return append(b, "-inf"...)
	case size >= 1e16 || size < 1e-4 && size != 0:
		return strconv.AppendFloat(b, x, 'e', -1, 64)
	case x == math.Trunc(x):
		return strconv.AppendFloat(b, x, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, x, 'f', -1, 64)
}

func writeStats[T number](out io.Writer, v []T, workers int, took time.Duration) error {
	_, err := fmt.Fprintf(out, "elements    %d\nworkers     %d\ntime        %v\nelements/s  %.0f\nchecksum    %s\n",
		len(v), workers, took.Round(time.Microsecond), float64(len(v))/took.Seconds(), checksum(v))
	return err
}

// checksum is described in the usage.
func checksum[T number](v []T) []byte {
	switch any(T(0)).(type) {
	case float32, float64:
		var sum float64
		for _, x := range v {
			sum += float64(x)
		}
		return appendFloat(nil, sum)
	}
	var sum uint64
	for _, x := range v {
		sum += uint64(x) // of a negative number: modulo 2^64
	}
	return strconv.AppendUint(nil, sum, 10)
}

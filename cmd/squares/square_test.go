package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// TestTypes has for each type the largest numbers whose squares fit, the first
// that do not, and what those are when they wrap around. The figures are those
// of Python's ctypes.
func TestTypes(t *testing.T) {
	for _, tt := range []struct{ code, fits, squares, over, wrapped string }{
		{"b", "0 1 -11 11", "[0, 1, 121, 121]", "-12 12 -128 127", "[-112, -112, 0, 1]"},
		{"B", "0 +15", "[0, 225]", "16 255", "[0, 1]"},
		{"h", "-181 181", "[32761, 32761]", "-182 182 -32768 32767", "[-32412, -32412, 0, 1]"},
		{"H", "0 255", "[0, 65025]", "256 65535", "[0, 1]"},
		{"i", "-46340 46340", "[2147395600, 2147395600]", "-46341 46341 65536", "[-2147479015, -2147479015, 0]"},
		{"I", "65535", "[4294836225]", "65536 4294967295", "[0, 1]"},
		{"l", "-3037000499 3037000499", "[9223372030926249001, 9223372030926249001]", "-3037000500 9223372036854775807", "[-9223372036709301616, 1]"},
		{"L", "4294967295", "[18446744065119617025]", "4294967296 18446744073709551615", "[0, 1]"},
		{"q", "-3037000499 3037000499", "[9223372030926249001, 9223372030926249001]", "3037000500 -9223372036854775808", "[-9223372036709301616, 0]"},
		{"Q", "4294967295", "[18446744065119617025]", "4294967296 18446744073709551615", "[0, 1]"},
		{"f", "0.1 -2.5 18446742974197923840 -inf nan", "[0.010000000707805157, 6.25, 3.4028232635611926e+38, inf, nan]", "18446744073709551616 -3e38", "[inf, inf]"},
		{"d", "0.1 -2.5 1.3407807929942596e154 -inf nan", "[0.010000000000000002, 6.25, 1.7976931348623155e+308, inf, nan]", "1.3407807929942597e154 -1e300", "[inf, inf]"},
	} {
		t.Run(tt.code, func(t *testing.T) {
			out, err := inProcess(t, tt.fits, "-type", tt.code)
			require.NoError(t, err)
			require.Equal(t, tt.squares+"\n", out)

			for word := range strings.FieldsSeq(tt.over) {
				_, err := inProcess(t, "0 1 "+word, "-type", tt.code)
				require.ErrorContains(t, err, "element 2: the square of ")
			}

			out, err = inProcess(t, tt.over, "-type", tt.code, "-wrap")
			require.NoError(t, err)
			require.Equal(t, tt.wrapped+"\n", out)
		})
	}
}

// TestEveryCode has a program for each code that there is, and names them all
// in the usage.
func TestEveryCode(t *testing.T) {
	_, err := shm.ParseCode("")
	_, codes, ok := strings.Cut(err.Error(), "the codes are ")
	require.True(t, ok)
	require.Contains(t, usage, codes)
	require.Len(t, programs, len(strings.Fields(codes)))
	for code := range strings.FieldsSeq(codes) {
		require.Contains(t, programs, shm.Code(code[0]))
		out, err := inProcess(t, "", "-type", code, "-n", "3", "-stats")
		require.NoError(t, err)
		require.Contains(t, out, "\nchecksum    5") // 5.0
	}
}

// TestSplit compares many ways to split the work: no element is squared twice,
// none is left out.
func TestSplit(t *testing.T) {
	var numbers, squares []string
	for range 1000 {
		x := rand.IntN(2*46340+1) - 46340
		numbers = append(numbers, strconv.Itoa(x))
		squares = append(squares, strconv.Itoa(x*x))
	}
	for n := 0; n <= 1000; n = n*5 + 1 {
		want := "[" + strings.Join(squares[:n], ", ") + "]\n"
		for _, workers := range []string{"1", "2", "3", "7"} {
			out, err := inProcess(t, strings.Join(numbers[:n], " "), "-workers", workers)
			require.NoError(t, err)
			require.Equal(t, want, out)
		}
	}
	out, err := inProcess(t, strings.Join(numbers[:30], " "), "-per-element", "-workers", "4")
	require.NoError(t, err)
	require.Equal(t, "["+strings.Join(squares[:30], ", ")+"]\n", out)
}

// TestBound counts the processes while there is one for each of many elements.
func TestBound(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		_, err := inProcess(t, "", "-n", "60", "-per-element", "-workers", "3")
		done <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for most := 0; ; {
		select {
		case <-tick.C:
			most = max(most, len(proc.Children()))
			require.LessOrEqual(t, most, 3)
		case err := <-done:
			require.NoError(t, err)
			require.NotZero(t, most)
			return
		}
	}
}

// TestReadings squares the numbers of make demo. The checksum is Python's.
func TestReadings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "readings")
	var text []byte
	for i, x := 0, 1; i < 100_000; i++ {
		x = x * 16807 % 2147483647
		text = fmt.Appendf(text, "%.2f\n", float64(x%10000)/100-40)
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
	for _, workers := range []string{"1", "2", "5"} {
		out, err := inProcess(t, "", "-type", "d", "-in", file, "-workers", workers, "-stats")
		require.NoError(t, err)
		require.Contains(t, out, "elements    100000\n")
		require.Contains(t, out, "checksum    93559720.85730153\n")
	}
}

// TestSquareRange runs what a worker runs.
func TestSquareRange(t *testing.T) {
	const n = 1 << 18 // several blocks
	a, err := shm.NewArray[int64](n, &shm.Options{NoLock: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	v := a.View()
	for i := range v {
		v[i] = 3
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	_, err = square(ctx, job[int64]{Numbers: a, From: 0, To: n})
	require.ErrorIs(t, err, cause)
	require.Equal(t, int64(3), v[0])

	v[n-2] = 1 << 32
	end, err := square(t.Context(), job[int64]{Numbers: a, From: 1, To: n})
	require.NoError(t, err)
	require.Equal(t, n-2, end)
	require.Equal(t, []int64{3, 9, 9}, v[:3])
	require.Equal(t, []int64{9, 1 << 32, 3}, v[n-3:])

	end, err = square(t.Context(), job[int64]{Numbers: a, From: 5, To: n - 10})
	require.NoError(t, err)
	require.Equal(t, n-10, end)
	require.Equal(t, []int64{3, 9, 9, 9, 9, 81}, v[:6])
	require.Equal(t, []int64{81, 9}, v[n-11:n-9])
}

func TestStats(t *testing.T) {
	for _, tt := range []struct {
		numbers, options, elements, workers, checksum string
	}{
		{"", "", "0", "0", "0"},
		{"2 3 6 7", "-workers 3", "4", "3", "98"},
		{"2 3", "-workers 3", "2", "2", "13"},
		{"12 1", "-type b -wrap -workers 1", "2", "1", "18446744073709551505"}, // -112 + 1
		{"4294967295 4294967295", "-type Q -workers 1 -per-element", "2", "1", "18446744056529682434"},
		{"0.5 1e10", "-type d -workers 1", "2", "1", "1e+20"},
		{"0.5 100", "-type f -workers 1", "2", "1", "10000.25"},
	} {
		out, err := inProcess(t, tt.numbers, append(strings.Fields(tt.options), "-stats")...)
		require.NoError(t, err)
		require.Regexp(t, fmt.Sprintf(`^elements    %s
workers     %s
time        [0-9.]+(µs|ms|s)
elements/s  \d+
checksum    %s
$`, tt.elements, tt.workers, strings.ReplaceAll(tt.checksum, "+", `\+`)), out)
	}
}

func TestAppendFloat(t *testing.T) {
	for want, x := range map[string]float64{ // repr in Python 3.13
		"0.0":                     0,
		"1.0":                     1,
		"-2.5":                    -2.5,
		"0.1":                     0.1,
		"0.0001":                  0.0001,
		"9.999e-05":               0.00009999,
		"1234567890123456.0":      1234567890123456,
		"9007199254740994.0":      9007199254740994,
		"9999999999999998.0":      9999999999999998,
		"1e+16":                   1e16,
		"1.2345678901234568e+16":  12345678901234567,
		"1e+100":                  1e100,
		"5e-324":                  5e-324,
		"1.7976931348623157e+308": 1.7976931348623157e308,
	} {
		require.Equal(t, want, string(appendFloat(nil, x)))
	}
}

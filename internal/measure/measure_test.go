package measure

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	table := NewTable("What it costs", "way", "time", "×")
	table.Add("a loop", 1500*time.Nanosecond, 1)
	table.Add("déjà", 20*time.Second, 13.5)
	require.Equal(t, `**What it costs**

| way    |    time |    × |
|--------|--------:|-----:|
| a loop | 1.50 µs |    1 |
| déjà   |  20.0 s | 13.5 |
`, table.String())
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "0 ns",
		999:                       "999 ns",
		1000:                      "1.00 µs",
		9994:                      "9.99 µs",
		9996:                      "10.0 µs",
		99960:                     "100 µs",
		999960:                    "1.00 ms",
		999960 * time.Microsecond: "1.00 s",
		123456 * time.Nanosecond:  "123 µs",
		1234 * time.Millisecond:   "1.23 s",
		100 * time.Second:         "100 s",
	} {
		require.Equal(t, want, Short(d))
	}
}

func TestMedian(t *testing.T) {
	rounds := []time.Duration{5, 1, 9}
	d, err := Median(3, func() (d time.Duration, err error) {
		d, rounds = rounds[0], rounds[1:]
		return d, nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 5, d)

	broken := errors.New("broken")
	_, err = Median(3, func() (time.Duration, error) { return 0, broken })
	require.ErrorIs(t, err, broken)
}

func TestOrigin(t *testing.T) {
	require.Regexp(t, `^Measured on \d{4}-\d\d-\d\d: .+ CPUs.+Linux.+go1.+load`, Origin(t.Context(), false))
	require.NotContains(t, Origin(t.Context(), true), "Linux")
}

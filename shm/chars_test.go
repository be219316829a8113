package shm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	a := testArray(t, nil, []byte("hello world")...)
	require.Equal(t, "hello world", string(Text(a)))

	require.NoError(t, SetText(a, []byte("bye")))
	require.Equal(t, "bye", string(Text(a)))
	require.Equal(t, "bye\x00o world", string(a.Copy()), "what is behind stays")

	full := []byte("elevenbytes")
	require.NoError(t, SetText(a, full))
	require.Equal(t, "elevenbytes", string(a.Copy()), "no room for a zero byte")

	require.NoError(t, SetText(a, []byte("tenletters")))
	require.Equal(t, "tenletters\x00", string(a.Copy()))

	require.NoError(t, SetText(a, nil))
	require.Empty(t, Text(a))
	require.Equal(t, "\x00enletters\x00", string(a.Copy()))

	require.NoError(t, SetText(a, []byte("a\x00b")))
	require.Equal(t, "a", string(Text(a)))
	require.True(t, bytes.HasPrefix(a.Copy(), []byte("a\x00b\x00")))
}

func TestSetTextTooLong(t *testing.T) {
	a := testArray(t, nil, []byte("hello")...)
	err := SetText(a, []byte("hello!"))
	require.ErrorIs(t, err, ErrSize)
	require.EqualError(t, err, `shm: array "uint8": set text: wrong size: a text of 6 bytes in an array of 5`)
	require.Equal(t, "hello", string(a.Copy()))
}

// SetText must not write its zero byte into the caller's slice.
func TestSetTextLeavesItsArgument(t *testing.T) {
	a := testArray(t, nil, make([]byte, 10)...)
	whole := []byte("abcdef")
	require.NoError(t, SetText(a, whole[:3]))
	require.Equal(t, "abcdef", string(whole))
	require.Equal(t, "abc", string(Text(a)))
}

func TestTextOfNothing(t *testing.T) {
	a := testArray[byte](t, nil)
	require.Empty(t, Text(a))
	require.NoError(t, SetText(a, nil))
	require.ErrorIs(t, SetText(a, []byte(strings.Repeat("x", 1))), ErrSize)
}

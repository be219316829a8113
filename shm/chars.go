package shm

import (
	"bytes"
	"fmt"
)

// Text returns the bytes of a before the first zero byte: what Python calls the
// value of a 'c' array. All bytes are Copy, Python's raw.
func Text(a *Array[byte]) []byte {
	text, _, _ := bytes.Cut(a.Copy(), []byte{0})
	return text
}

// SetText writes text to the beginning of a, and a zero byte after it if there
// is room. Other bytes stay as they are. A text longer than the array is
// ErrSize, and nothing changes.
func SetText(a *Array[byte], text []byte) error {
	if a.mapping != nil && len(text) > a.Len() {
		return a.fail("set text", fmt.Errorf("%w: a text of %d bytes in an array of %d", ErrSize, len(text), a.Len()))
	}
	if len(text) < a.Len() {
		text = append(bytes.Clone(text), 0)
	}
	return a.Assign(text, 0, len(text))
}

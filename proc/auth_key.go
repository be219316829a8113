package proc

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// keyVariable is the environment variable that holds the key where no option
// does.
const keyVariable = "MULTIPROC_AUTHKEY"

// maxKey is the size of the largest key file, in bytes.
const maxKey = 4096

// A secret is what two processes that connect must both know; nil if nothing.
type secret []byte

// secretOf finds the key. A key that is empty but not nil is a key.
func secretOf(o *ConnOptions) (secret, error) {
	if o.Key != nil {
		return append(secret{}, o.Key...), nil
	}
	if o.KeyFile != "" {
		key, err := readKey(o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("key file %s: %w", o.KeyFile, err)
		}
		return key, nil
	}
	if key := os.Getenv(keyVariable); key != "" {
		return secret(key), nil
	}
	return nil, nil
}

// readKey reads a file that nobody else can read or write.
func readKey(name string) (secret, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe does not block
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, errors.New("it is no regular file")
	case int(st.Uid) != os.Geteuid():
		return nil, fmt.Errorf("it belongs to user %d, not to this process's user %d", st.Uid, os.Geteuid())
	case st.Mode&0o077 != 0:
		return nil, fmt.Errorf("its mode is %#o: others than its owner may use it; make it 0600", st.Mode&0o777)
	}
	key, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	switch {
	case err != nil:
		return nil, err
	case len(key) == 0:
		return nil, errors.New("it is empty")
	case len(key) > maxKey:
		return nil, fmt.Errorf("it has more than %d bytes", maxKey)
	}
	return key, nil
}

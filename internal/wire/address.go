package wire

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrAddress means that an address cannot be that of a Unix socket.
var ErrAddress = errors.New("not an address of a Unix socket")

// maxAddress is the length of the kernel's sun_path without its final zero.
const maxAddress = 107

// scheme is the beginning of an address of another family: tcp:, unix:, https:.
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// sockaddr checks an address and turns it into the kernel's: a path with a
// slash, or a name in the kernel's abstract name space, which begins with @.
func sockaddr(address string) (*unix.SockaddrUnix, error) {
	why := ""
	switch {
	case len(address) > maxAddress:
		why = fmt.Sprintf("it has %d bytes, at most %d are possible", len(address), maxAddress)
	case strings.ContainsRune(address, 0):
		why = "it contains a zero byte"
	case strings.HasPrefix(address, "@") && len(address) > 1:
		return &unix.SockaddrUnix{Name: address}, nil
	case scheme.MatchString(address):
		why = "its family is not supported; a path that looks so must begin with ./"
	case !strings.Contains(address, "/"):
		why = "it is neither a path with a slash nor @ and a name"
	case strings.HasSuffix(address, "/"):
		why = "it is a directory"
	default:
		return &unix.SockaddrUnix{Name: address}, nil
	}
	return nil, fmt.Errorf("%w: %q: %s", ErrAddress, address, why)
}

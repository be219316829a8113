package ending

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/proc"
)

func TestMain(m *testing.M) {
	proc.Main()
	m.Run()
}

var end = proc.RegisterTask("end", func(_ context.Context, how string) error {
	switch how {
	case "fail":
		return errors.New("no such number")
	case "panic":
		panic("too many numbers")
	case "kill":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "exit":
		os.Exit(3)
	}
	return nil
})

func TestEnding(t *testing.T) {
	for how, want := range map[string]string{
		"return": "returned",
		"fail":   "failed: no such number",
		"panic":  "panicked: too many numbers",
		"kill":   "killed by signal 9",
		"exit":   "exited with status 3",
	} {
		p, err := end.Start(t.Context(), how, nil)
		require.NoError(t, err)
		require.Equal(t, want, Ending(p.Join(t.Context())), how)
	}
}

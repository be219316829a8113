package proctest

import (
	"fmt"
	"strings"
	"testing"
)

// Verified logs what a test has shown, in figures, unless it has failed. `make
// verification` collects these lines, one row of docs/verification.md each. tier
// is the make target whose run counts; name says in a few words what was done,
// and no other line of the tier has the same.
func Verified(t testing.TB, tier, name, format string, args ...any) {
	t.Helper()
	figures := fmt.Sprintf(format, args...)
	if strings.Contains(tier+name, ": ") || strings.Contains(tier+name+figures, "\n") {
		t.Fatalf("proctest: %q, %q, %q make no line of the form verified: tier: name: figures", tier, name, figures)
	}
	if !t.Failed() {
		t.Logf("verified: %s: %s: %s", tier, name, figures)
	}
}

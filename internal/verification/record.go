package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-multiproc/multiproc/internal/machine"
)

// A run is what a tier came to when it was last run.
type run struct {
	Tier    string
	Began   time.Time
	Seconds int
	Passed  int `json:",omitempty"` // tests and subtests, if the tier counts them
	Machine machine.Machine
	Lines   []line `json:",omitempty"`
}

// Took is how long it lasted.
func (r run) Took() time.Duration { return time.Duration(r.Seconds) * time.Second }

// A record holds the last run of each tier, by its name.
type record map[string]run

// renew puts a run into the record of a directory, and writes the page anew.
func renew(dir string, r run) error {
	rec, err := readRecord(dir)
	if err != nil {
		return err
	}
	rec[r.Tier] = r
	text, err := json.MarshalIndent(rec, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "verification.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	page, err := rec.page()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "verification.md"), page, 0o644)
}

// readRecord reads the record of a directory, which is empty at first.
func readRecord(dir string) (record, error) {
	name := filepath.Join(dir, "verification.json")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return nil, err
	}
	var rec record
	if err := json.Unmarshal(text, &rec); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rec, nil
}

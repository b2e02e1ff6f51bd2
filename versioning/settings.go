package versioning

import (
	"errors"
	"fmt"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/hlc"
)

// settingsFormat is the format of the settings record that this program writes.
const settingsFormat = 1

// Rollover says what a put does when its key has as many versions as the bucket allows. Part of the
// format, never renumber.
type Rollover uint8

// The kinds of rollover.
const (
	// Relabel drops the oldest version and moves the numbers, not the records: 2 reads and 3 or 4
	// writes, however many versions there are.
	Relabel Rollover = 1
	// Cascade drops the oldest version and rewrites every slot, as the layout document describes
	// it. Everything that can be read is the same as under Relabel.
	Cascade Rollover = 2
	// Refuse fails a put that would drop a version with ErrVersionsExhausted. Deletes still roll over.
	Refuse Rollover = 3
)

func (r Rollover) String() string {
	switch r {
	case Relabel:
		return "relabel"
	case Cascade:
		return "cascade"
	case Refuse:
		return "refuse"
	}
	return fmt.Sprintf("rollover(%d)", uint8(r))
}

// ParseRollover reads what String writes; else ErrInvalidSettings.
func ParseRollover(s string) (Rollover, error) {
	for _, r := range []Rollover{Relabel, Cascade, Refuse} {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("%w: rollover %q is none of relabel, cascade and refuse", ErrInvalidSettings, s)
}

// Settings of one bucket.
type Settings struct {
	// MaxVersions is how many versions of a key are kept, 1..255. After it was lowered, each put
	// removes at most 16 versions of its key; vacuum does the rest.
	MaxVersions int
	// Rollover says what a put beyond MaxVersions does.
	Rollover Rollover
	// Updated is when the settings were changed last; zero for the defaults. SetSettings ignores it.
	Updated hlc.Timestamp
}

// DefaultSettings are those of a bucket that has none of its own: 255 versions, Relabel.
func DefaultSettings() Settings { return Settings{MaxVersions: MaxVersions, Rollover: Relabel} }

// Validate returns ErrInvalidSettings with all faults, or nil.
func (s Settings) Validate() error {
	var faults []error
	if s.MaxVersions < 1 || s.MaxVersions > MaxVersions {
		faults = append(faults, fmt.Errorf("max_versions %d is not in 1..%d", s.MaxVersions, MaxVersions))
	}
	if s.Rollover < Relabel || s.Rollover > Refuse {
		faults = append(faults, fmt.Errorf("unknown %v", s.Rollover))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalidSettings, errors.Join(faults...))
	}
	return nil
}

// appendSettings appends the stored form of s with fields of newer programs behind it.
func appendSettings(dst []byte, s Settings, unknown string) ([]byte, error) {
	pb := storagev1.BucketSettings{
		Format:      settingsFormat,
		MaxVersions: uint32(s.MaxVersions), Rollover: storagev1.Rollover(s.Rollover),
		UpdatedWallNanos: s.Updated.WallNanos, UpdatedLogical: s.Updated.Logical,
	}
	if unknown != "" {
		pb.ProtoReflect().SetUnknown([]byte(unknown))
	}
	b, err := pb.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("versioning: encode bucket settings: %w", err)
	}
	return append(dst, b...), nil
}

// parseSettings decodes stored settings strictly. unknown holds the fields of newer programs, to be
// kept when the settings change. Errors: ErrSettings, ErrSettingsFormat.
func parseSettings(stored []byte) (s Settings, unknown string, err error) {
	var pb storagev1.BucketSettings
	if err := pb.UnmarshalVT(stored); err != nil {
		return Settings{}, "", fmt.Errorf("%w: %w", ErrSettings, err)
	}
	if pb.Format == 0 {
		return Settings{}, "", fmt.Errorf("%w: no format", ErrSettings)
	}
	if pb.Format != settingsFormat {
		return Settings{}, "", fmt.Errorf("%w: %d", ErrSettingsFormat, pb.Format)
	}
	if pb.MaxVersions > MaxVersions || pb.Rollover < 0 || pb.Rollover > storagev1.Rollover_ROLLOVER_REFUSE {
		return Settings{}, "", fmt.Errorf("%w: max_versions %d, rollover %d", ErrSettings, pb.MaxVersions, pb.Rollover)
	}
	s = Settings{
		MaxVersions: int(pb.MaxVersions), Rollover: Rollover(pb.Rollover),
		Updated: hlc.Timestamp{WallNanos: pb.UpdatedWallNanos, Logical: pb.UpdatedLogical},
	}
	if err := s.Validate(); err != nil {
		return Settings{}, "", fmt.Errorf("%w: %w", ErrSettings, err)
	}
	return s, string(pb.ProtoReflect().GetUnknown()), nil
}

package cli

import (
	"context"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/record"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"github.com/shieldmaidens/pleiades/versioning"
)

// beginRestore prepares for a dump: a bucket that holds nothing and was given no settings takes over those of the dump.
func (l *loader) beginRestore(ctx context.Context) error {
	h, ok := record.DumpHeader(l.src)
	if !ok {
		return nil
	}
	l.restorer = dump.NewRestorer(l.s.versions, &dump.RestoreOptions{NewTimestamps: l.f.newTimestamps})
	settings, ok, err := l.restorer.Settings(ctx, h)
	if err != nil || !ok {
		return err
	}
	l.a.note("the bucket gets the settings of the dump: max_versions %d, rollover %v", settings.MaxVersions, settings.Rollover)
	return l.s.bucket.SetSettings(ctx, settings)
}

// restore applies one version of a dump.
func (l *loader) restore(ctx context.Context, applier *versioning.Applier, it *loadItem, t *tally) error {
	v := *it.version
	v.Key, v.Value = it.key, it.value
	outcome, err := l.restorer.Apply(ctx, applier, &v)
	switch outcome {
	case dump.Restored:
		t.loaded++
	case dump.Unchanged:
		t.unchanged++
	case dump.Older:
		t.older++
	}
	return err
}

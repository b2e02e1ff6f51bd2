#ifndef PLEIADES_ENGINE_NATIVE_STATUS_H
#define PLEIADES_ENGINE_NATIVE_STATUS_H

#include <rocksdb/status.h>

#include "native.h"

// ple_set_status copies st into out; out->message is malloc'ed when st is an error.
void ple_set_status(const rocksdb::Status& st, ple_status* out);

// ple_events_fail counts st as a failure in the background; the first one's text is kept.
void ple_events_fail(ple_events* events, const rocksdb::Status& st);

#endif

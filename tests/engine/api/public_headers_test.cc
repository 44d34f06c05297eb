// Users compile the public headers without the libraries that dspool is made of.
#include "dspool/alert.h"
#include "dspool/call.h"
#include "dspool/config.h"
#include "dspool/error.h"
#include "dspool/history.h"
#include "dspool/migration.h"
#include "dspool/session.h"
#include "dspool/session_id.h"
#include "dspool/stats.h"
#include "dspool/value.h"

#if defined(FLATBUFFERS_H_) || defined(FLATBUFFERS_BASE_H_) || defined(FLATBUFFERS_FLEXBUFFERS_H_)
#error "a public header includes FlatBuffers"
#endif
#if defined(TOMLPLUSPLUS_H)
#error "a public header includes toml++"
#endif

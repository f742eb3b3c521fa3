/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * How every function of Saccade's C API reports failure: a status code, and a
 * message of the calling thread. It is a header of its own because compiler,
 * runtime and engine share it and nothing else.
 */
#ifndef SACCADE_STATUS_H
#define SACCADE_STATUS_H

#if defined(__GNUC__) || defined(__clang__)
#define SACCADE_API __attribute__((visibility("default")))
#else
#define SACCADE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum SaccadeStatus {
  SACCADE_OK = 0,
  SACCADE_INVALID_ARGUMENT = 1, /* a value, shape, dtype or pointer is wrong */
  SACCADE_OUT_OF_CAPACITY = 2,  /* more work than the plan was created for */
  SACCADE_BAD_BLOB = 3,         /* a kernel binary is damaged or of another
                                   version */
  SACCADE_NO_DEVICE = 4,        /* no driver, no such device, or a device that
                                   cannot run this target */
  SACCADE_DRIVER_ERROR = 5,     /* the CUDA driver refused; the message quotes
                                   it, with the JIT's log where there is one */
  SACCADE_OUT_OF_MEMORY = 6,    /* host or device memory */
  SACCADE_BAD_SPEC = 7,         /* the spec does not parse, verify or compile;
                                   the message holds the diagnostics */
  SACCADE_INTERNAL_ERROR = 8    /* a defect of Saccade */
} SaccadeStatus;

/* The message of the calling thread's last failure: one or more lines without a
 * trailing newline, "" when nothing has failed yet. A call that succeeds leaves
 * it as it was. The string is owned by the library and stays valid until the
 * thread's next call into it. */
SACCADE_API const char *saccade_last_error(void);

#ifdef __cplusplus
}
#endif
#endif /* SACCADE_STATUS_H */

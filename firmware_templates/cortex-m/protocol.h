/*
 * The mailbox: how a host talks to the firmware through RAM, as a debugger does.
 *
 * The firmware halts at `bkpt EDGEPRUNE_STOP_READY`. The host then reads the answer to its last
 * request, writes the next request into `edgeprune_mailbox` and resumes after the breakpoint.
 * All fields are little endian.
 *
 * An image with a front-end (stream/) answers all commands. One of a network alone (model/) answers
 * RESET, LEVEL and INFER; the host writes the input into `edgeprune_network` and reads the output
 * there.
 */
#ifndef EDGEPRUNE_PROTOCOL_H
#define EDGEPRUNE_PROTOCOL_H

#include <stdint.h>

#define EDGEPRUNE_MAGIC 0x50474445u /* "EDGP" */
#define EDGEPRUNE_PROTOCOL 1u

/* Numbers of the breakpoints. */
#define EDGEPRUNE_STOP_READY 0xE0
#define EDGEPRUNE_STOP_FAULT 0xE1
#define EDGEPRUNE_STOP_INTERRUPT 0xE2
#define EDGEPRUNE_STOP_RETURNED 0xE3

/* What start-up fills the unused stack with. */
#define EDGEPRUNE_STACK_PATTERN 0x5AFE57ACu

enum edgeprune_command {
    EDGEPRUNE_COMMAND_NONE = 0,       /* what boot answers */
    EDGEPRUNE_COMMAND_INFO = 1,       /* answers edgeprune_info */
    EDGEPRUNE_COMMAND_RESET = 2,      /* starts a new clip */
    EDGEPRUNE_COMMAND_PCM = 3,        /* takes int16 samples */
    EDGEPRUNE_COMMAND_FEATURES = 4,   /* takes one frame of int16 features */
    EDGEPRUNE_COMMAND_INFER = 5,      /* answers one int8 score a label */
    EDGEPRUNE_COMMAND_READ_FRAME = 6, /* answers the last frame of int16 features */
    EDGEPRUNE_COMMAND_LEVEL = 16      /* and above: sets level `command - 16` */
};

enum edgeprune_status {
    EDGEPRUNE_STATUS_OK = 0,
    EDGEPRUNE_STATUS_BAD_COMMAND = 1,
    EDGEPRUNE_STATUS_BAD_LENGTH = 2,
    EDGEPRUNE_STATUS_IDENTITY = 3,  /* features of another front-end */
    EDGEPRUNE_STATUS_NOT_READY = 4  /* fewer frames than the question needs */
};

/* What every mailbox begins with; the payload follows, where there is one. */
struct edgeprune_mailbox_header {
    uint32_t magic;
    uint32_t protocol;
    uint32_t command;
    uint32_t status;
    uint32_t length;            /* bytes of the payload that are valid */
    uint32_t identity[2];       /* in an answer the image's front-end, in FEATURES the sender's */
    uint32_t model_identity[2];
    uint32_t frames;            /* since the clip began */
};

/* The answer to INFO. */
struct edgeprune_info {
    uint32_t sample_rate;      /* Hz */
    uint32_t clip_samples;
    uint32_t window_samples;
    uint32_t hop_samples;
    uint32_t frames;           /* of one clip */
    uint32_t features;         /* of one frame */
    uint32_t fraction_bits;    /* of a feature */
    uint32_t labels;
    uint32_t payload_capacity; /* bytes */
    uint32_t arena_address;    /* of the model's arena, for traces */
    uint32_t arena_bytes;
};

#endif

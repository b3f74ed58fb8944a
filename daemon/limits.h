/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Every fixed limit of the daemon, with its unit and reason. What operators may change is in
 * config/config.h. */
#ifndef OCELLUS_DAEMON_LIMITS_H
#define OCELLUS_DAEMON_LIMITS_H

/* bytes of the daemon itself, with its libraries, three threads and tables: 10 MiB are usual */
#define LIMIT_PROGRAM_BYTES (64u << 20)
/* bytes of an adapter beside its models: a reservoir, statistics, the store */
#define LIMIT_ADAPTER_BYTES (8u << 20)
/* bytes of a worker's address space beside frames: 512 MiB that LibRaw may take and the models;
 * scans. Where memory is bounded it gets less, but not below what the programs take */
#define LIMIT_WORKER_BYTES     ((uint64_t)2304 << 20)
#define LIMIT_WORKER_BYTES_MIN ((uint64_t)64 << 20)

/* connections: each costs its buffers below; 256 serves a household of cameras and their viewers */
#define LIMIT_CONNECTIONS 256u
/* connections of one uid (or one TCP address), so that one client cannot take all of them */
#define LIMIT_CONNECTIONS_PER_PEER 64u
/* frames of one uid (or address) that wait or are at work: of the 64 cameras that are there by
 * default, others keep a quarter */
#define LIMIT_FRAMES_PER_PEER 48u
/* strikes, which are frames that cost a worker, after which a uid's frames are refused: a camera
 * with a bad sensor stays below, who looks for a hole in a decoder does not. Each is forgotten
 * after LIMIT_STRIKE_MS milliseconds. Root is not counted: it may stop the daemon as it likes. */
#define LIMIT_STRIKES   8u
#define LIMIT_STRIKE_MS 60000u
/* uids and addresses whose strikes are remembered; then the one that struck longest ago gives way */
#define LIMIT_STRIKERS 64u
/* bytes of an HTTP request line and headers together; browsers with cookies stay under 8 KiB */
#define LIMIT_HTTP_HEAD_BYTES (16u * 1024u)
/* bytes of one Varlink message; a base64 frame of 256 KiB and its envelope fit */
#define LIMIT_VARLINK_MESSAGE_BYTES (512u * 1024u)
/* base64 frames: larger ones come as a descriptor or by HTTP */
#define LIMIT_BASE64_FRAME_BYTES (256u * 1024u)
/* descriptors in one recvmsg: one a call is all we take, the rest are closed and the call refused
 */
#define LIMIT_VARLINK_FDS 4u
/* calls a Varlink client may send before their replies */
#define LIMIT_VARLINK_PIPELINE 8u
/* reply bytes queued for a client that does not read; then it is dropped */
#define LIMIT_REPLY_QUEUE_BYTES (1024u * 1024u)
/* milliseconds a client may take for request headers, and a body may stand still */
#define LIMIT_HEAD_TIMEOUT_MS 5000u
#define LIMIT_BODY_TIMEOUT_MS 5000u
/* bytes of a body that must come in that time: one that trickles counts as standing still */
#define LIMIT_BODY_PROGRESS_BYTES (64u * 1024u)
/* milliseconds a connection is kept after its last reply, for clients that still send */
#define LIMIT_LINGER_MS 2000u
/* milliseconds an idle keep-alive connection stays open */
#define LIMIT_IDLE_TIMEOUT_MS 60000u
/* milliseconds for a worker to start, load its models and answer */
#define LIMIT_WORKER_START_MS 5000u
/* milliseconds before a worker that died at start is tried again, doubling to the second */
#define LIMIT_WORKER_BACKOFF_MS     50u
#define LIMIT_WORKER_BACKOFF_MAX_MS 5000u
/* milliseconds for the workers of a reload to get ready; then those that are take over, or none */
#define LIMIT_RELOAD_MS 10000u
/* starts in a row that led to nothing: the worker counts as irreplaceable, and systemd's watchdog
 * is not fed. A failing disk or a broken program fails at once and every time, a busy machine not.
 */
#define LIMIT_WORKER_FAILED_STARTS 3u
/* bytes of a JSON body by HTTP: as of a Varlink message */
#define LIMIT_JSON_BYTES LIMIT_VARLINK_MESSAGE_BYTES
/* labels and changes of adapters that wait for the trainer, each with its bytes; then busy */
#define LIMIT_TRAINER_QUEUE 64u

/* connections that are told of events, each with its queue: browsers, home automation, a terminal
 */
#define LIMIT_SUBSCRIBERS          32u
#define LIMIT_SUBSCRIBERS_PER_PEER 16u
/* events and their bytes that wait for one subscriber; then they are lost to it. The result of the
 * largest model has some 80 KiB, that of a usual one 1 KiB */
#define LIMIT_EVENT_QUEUE       64u
#define LIMIT_EVENT_QUEUE_BYTES (128u * 1024u)
/* milliseconds without an event after which a stream by HTTP is shown to be alive, so that a client
 * that went away without a word is noticed */
#define LIMIT_STREAM_QUIET_MS 30000u

/* lines of one kind in the log in so many milliseconds: what happens again and again is told by its
 * first lines and a count */
#define LIMIT_LOG_BURST     5u
#define LIMIT_LOG_WINDOW_MS 60000u

#endif

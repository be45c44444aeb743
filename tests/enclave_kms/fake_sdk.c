/* A stand-in with the exported surface, struct layouts and ownership rules of the AWS Nitro Enclaves SDK for C.
 *
 * The layouts are written down as C types, so that the compiler lays them out and a binding that differs reads other
 * values. A plaintext is a hash of everything that reached a call, member by member. Memory is handed out with a header
 * and counted: leaks, double frees, foreign frees and secrets that were freed unwiped show in fake_report.
 * The access key id chooses a fault. */
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct aws_allocator {
    void *(*mem_acquire)(struct aws_allocator *, size_t);
    void (*mem_release)(struct aws_allocator *, void *);
    void *(*mem_realloc)(struct aws_allocator *, void *, size_t, size_t);
    void *(*mem_calloc)(struct aws_allocator *, size_t, size_t);
    void *impl;
};
struct aws_string {
    struct aws_allocator *const allocator;
    const size_t len;
    const uint8_t bytes[1];
};
struct aws_byte_buf {
    size_t len;
    uint8_t *buffer;
    size_t capacity;
    struct aws_allocator *allocator;
};
struct aws_socket_endpoint {
    char address[108];
    uint32_t port;
};
struct aws_credentials {
    const struct aws_string *key_id, *secret, *token;
};
struct aws_nitro_enclaves_kms_client_configuration {
    struct aws_allocator *allocator;
    const struct aws_string *region;
    const struct aws_socket_endpoint *endpoint;
    int domain;
    struct aws_credentials *credentials;
    void *credentials_provider;
    const struct aws_string *host_name;
};
struct aws_nitro_enclaves_kms_client {
    struct aws_nitro_enclaves_kms_client_configuration *configuration;
};

_Static_assert(sizeof(struct aws_nitro_enclaves_kms_client_configuration) == 56, "configuration");
_Static_assert(offsetof(struct aws_nitro_enclaves_kms_client_configuration, host_name) == 48, "host_name");
_Static_assert(sizeof(struct aws_socket_endpoint) == 112, "endpoint");
_Static_assert(sizeof(struct aws_byte_buf) == 32, "byte_buf");
_Static_assert(sizeof(struct aws_allocator) == 40, "allocator");

/* ---- memory, counted ---- */

#define SECRET_BLOCK 0x5ec2e7u
#define PLAIN_BLOCK 0x91a19u
#define FREED_BLOCK 0xf2eedu

struct block {
    size_t size;
    uint64_t kind;
};

static struct fake_counters {
    uint64_t initialised, live, allocated, bad_frees, unwiped_frees, dirty_outputs;
} counters;

static void *take(size_t size, uint64_t kind) {
    struct block *block = calloc(1, sizeof *block + size);
    block->size = size;
    block->kind = kind;
    counters.live++;
    counters.allocated++;
    return block + 1;
}

static void give_back(struct aws_allocator *allocator, void *pointer) {
    struct block *block = (struct block *)pointer - 1;
    (void)allocator;
    if (block->kind != SECRET_BLOCK && block->kind != PLAIN_BLOCK) {
        counters.bad_frees++;
        return;
    }
    for (size_t i = 0; block->kind == SECRET_BLOCK && i < block->size; i++) {
        if (((uint8_t *)pointer)[i] != 0) {
            counters.unwiped_frees++;
            break;
        }
    }
    block->kind = FREED_BLOCK; /* kept, so that a second free is seen and not undefined */
    counters.live--;
}

static void *acquire(struct aws_allocator *allocator, size_t size) {
    (void)allocator;
    return take(size, PLAIN_BLOCK);
}

static struct aws_allocator allocator = {.mem_acquire = acquire, .mem_release = give_back};

/* Like the original: a string without allocator is the caller's own and is not freed. */
static void string_destroy(const struct aws_string *string) {
    if (string != NULL && string->allocator != NULL) give_back(string->allocator, (void *)string);
}

void fake_report(struct fake_counters *report) { *report = counters; }

/* ---- what reached a call ---- */

struct hash {
    uint64_t lane[4];
};

static void absorb(struct hash *hash, const void *data, size_t size) {
    for (int lane = 0; lane < 4; lane++) {
        for (size_t i = 0; i < size; i++) hash->lane[lane] = (hash->lane[lane] ^ ((const uint8_t *)data)[i]) * 1099511628211u;
        hash->lane[lane] = (hash->lane[lane] ^ 0xff) * 1099511628211u; /* end of one value */
    }
}

static void absorb_string(struct hash *hash, const struct aws_string *string) {
    if (string == NULL || string->bytes[string->len] != 0) abort(); /* the original reads a terminator, too */
    absorb(hash, string->bytes, string->len);
}

static struct hash begin(struct aws_nitro_enclaves_kms_client *client, const struct aws_string *key_id) {
    struct aws_nitro_enclaves_kms_client_configuration *c = client->configuration;
    struct hash hash = {{14695981039346656037u, 1, 2, 3}};
    char number[32];
    absorb_string(&hash, c->region);
    absorb(&hash, c->endpoint->address, strlen(c->endpoint->address));
    absorb(&hash, number, (size_t)snprintf(number, sizeof number, "%u/%d", c->endpoint->port, c->domain));
    absorb_string(&hash, c->credentials->key_id);
    absorb_string(&hash, c->credentials->secret);
    absorb_string(&hash, c->credentials->token);
    absorb_string(&hash, key_id);
    return hash;
}

static int is_fault(struct aws_nitro_enclaves_kms_client *client, const char *name) {
    const struct aws_string *key_id = client->configuration->credentials->key_id;
    return key_id->len == strlen(name) && memcmp(key_id->bytes, name, key_id->len) == 0;
}

static int fill(struct aws_byte_buf *output, const void *data, size_t size, uint64_t kind) {
    static const struct aws_byte_buf zero;
    if (memcmp(output, &zero, sizeof zero) != 0) counters.dirty_outputs++;
    *output = (struct aws_byte_buf){size, take(size + 16, kind), size + 16, &allocator};
    memcpy(output->buffer, data, size);
    return 0;
}

static int answer(struct aws_nitro_enclaves_kms_client *client, struct hash *hash, struct aws_byte_buf *plaintext) {
    if (is_fault(client, "FAIL")) return -1;
    if (is_fault(client, "FAILLATE")) { /* fails after it has filled the buffer */
        fill(plaintext, hash->lane, 32, SECRET_BLOCK);
        return -1;
    }
    if (is_fault(client, "SILENT")) return 0; /* says yes and gives nothing */
    if (is_fault(client, "CRASH")) raise(SIGSEGV);
    if (is_fault(client, "EXIT")) _exit(0);
    while (is_fault(client, "HANG")) pause();
    return fill(plaintext, hash->lane, is_fault(client, "SHORT") ? 31 : 32, SECRET_BLOCK);
}

/* ---- the exported surface ---- */

void aws_nitro_enclaves_library_init(struct aws_allocator *given) {
    if (given == NULL) counters.initialised++;
}

struct aws_allocator *aws_nitro_enclaves_get_allocator(void) { return &allocator; }

struct aws_nitro_enclaves_kms_client_configuration *aws_nitro_enclaves_kms_client_config_default(
    struct aws_string *region, struct aws_socket_endpoint *endpoint, int domain, struct aws_string *access_key_id,
    struct aws_string *secret_access_key, struct aws_string *session_token) {
    if (access_key_id->len == 8 && memcmp(access_key_id->bytes, "NOCONFIG", 8) == 0) return NULL;
    struct aws_nitro_enclaves_kms_client_configuration *configuration = take(sizeof *configuration, PLAIN_BLOCK);
    struct aws_credentials *credentials = take(sizeof *credentials, PLAIN_BLOCK);
    *credentials = (struct aws_credentials){access_key_id, secret_access_key, session_token};
    *configuration = (struct aws_nitro_enclaves_kms_client_configuration){
        .allocator = &allocator, .region = region, .endpoint = endpoint, .domain = domain, .credentials = credentials};
    return configuration;
}

void aws_nitro_enclaves_kms_client_config_destroy(struct aws_nitro_enclaves_kms_client_configuration *configuration) {
    give_back(&allocator, configuration->credentials);
    configuration->credentials = NULL;
    give_back(&allocator, configuration);
}

struct aws_nitro_enclaves_kms_client *aws_nitro_enclaves_kms_client_new(
    struct aws_nitro_enclaves_kms_client_configuration *configuration) {
    struct aws_nitro_enclaves_kms_client probe = {configuration};
    if (is_fault(&probe, "NOCLIENT")) return NULL;
    struct aws_nitro_enclaves_kms_client *client = take(sizeof *client, PLAIN_BLOCK);
    client->configuration = configuration;
    return client;
}

void aws_nitro_enclaves_kms_client_destroy(struct aws_nitro_enclaves_kms_client *client) {
    if (client->configuration->credentials == NULL) abort(); /* the configuration must outlive its client */
    give_back(&allocator, client);
}

int aws_kms_decrypt_blocking_with_context(
    struct aws_nitro_enclaves_kms_client *client, const struct aws_string *key_id, const struct aws_string *algorithm,
    const struct aws_byte_buf *ciphertext, const struct aws_string *context, struct aws_byte_buf *plaintext) {
    struct hash hash = begin(client, key_id);
    absorb_string(&hash, algorithm);
    if (ciphertext->allocator != NULL || ciphertext->len > ciphertext->capacity) abort();
    absorb(&hash, ciphertext->buffer, ciphertext->len);
    absorb_string(&hash, context);
    int status = answer(client, &hash, plaintext);
    string_destroy(key_id);
    string_destroy(context);
    return status;
}

#ifndef WITHOUT_GENERATE
int aws_kms_generate_data_key_blocking(
    struct aws_nitro_enclaves_kms_client *client, const struct aws_string *key_id, int key_spec,
    struct aws_byte_buf *plaintext, struct aws_byte_buf *ciphertext_blob) {
    struct hash hash = begin(client, key_id);
    uint8_t spec = (uint8_t)key_spec;
    absorb(&hash, &spec, 1);
    int status = answer(client, &hash, plaintext);
    if (status == 0) fill(ciphertext_blob, "a data key's blob", 17, PLAIN_BLOCK);
    string_destroy(key_id);
    return status;
}
#endif

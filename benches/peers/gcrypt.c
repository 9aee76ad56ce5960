/* SM2 verifications and MB of SM3 a second of CPU, by libgcrypt: cc -O2 gcrypt.c -lgcrypt */
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static gcry_sexp_t part(gcry_error_t failed, gcry_sexp_t made) {
    if (failed) {
        fprintf(stderr, "libgcrypt: %s\n", gcry_strerror(failed));
        exit(1);
    }
    return made;
}

int main(void) {
    gcry_check_version(NULL);
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    gcry_sexp_t parameters, pair, data, signature;
    part(gcry_sexp_build(&parameters, NULL, "(genkey(ecc(curve sm2p256v1)))"), NULL);
    part(gcry_pk_genkey(&pair, parameters), NULL);
    gcry_sexp_t public = gcry_sexp_find_token(pair, "public-key", 0), private = gcry_sexp_find_token(pair, "private-key", 0);
    part(gcry_sexp_build(&data, NULL, "(data(flags sm2)(hash sm3 %b))", 32, "an e of thirty-two octets exactly"), NULL);
    part(gcry_pk_sign(&signature, data, private), NULL);
    double best = 1e300;
    for (int round = 0; round < 20; round++) {
        double start = now();
        for (int i = 0; i < 50; i++)
            part(gcry_pk_verify(signature, data, public), NULL);
        double each = (now() - start) / 50;
        best = each < best ? each : best;
    }
    printf("verify %.0f\n", 1 / best);

    unsigned char *bytes = calloc(1, 1 << 20), digest[32];
    best = 1e300;
    for (int round = 0; round < 100; round++) {
        double start = now();
        gcry_md_hash_buffer(GCRY_MD_SM3, digest, bytes, 1 << 20);
        double took = now() - start;
        best = took < best ? took : best;
    }
    printf("sm3 %.0f\n", (1 << 20) / best / 1e6);
    return 0;
}

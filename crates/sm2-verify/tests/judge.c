/* OpenSSL's verdicts on SM2 signatures: cc judge.c -lcrypto. Reads x, y, e, r, s, 32 bytes each, and answers with one byte:
   1 right, 0 wrong, k not a key. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

static EVP_PKEY *key_of(const unsigned char *xy) {
    unsigned char point[65] = {4};
    memcpy(point + 1, xy, 64);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, "SM2", 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "SM2", NULL);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 || EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

static int verify(EVP_PKEY *key, const unsigned char *e, const unsigned char *r, const unsigned char *s) {
    ECDSA_SIG *signature = ECDSA_SIG_new();
    ECDSA_SIG_set0(signature, BN_bin2bn(r, 32, NULL), BN_bin2bn(s, 32, NULL));
    unsigned char *der = NULL;
    int length = i2d_ECDSA_SIG(signature, &der);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    int right = context && EVP_PKEY_verify_init(context) == 1 && EVP_PKEY_verify(context, der, length, e, 32) == 1;
    EVP_PKEY_CTX_free(context);
    OPENSSL_free(der);
    ECDSA_SIG_free(signature);
    return right;
}

int main(void) {
    unsigned char in[160], last[64] = {0};
    EVP_PKEY *key = NULL;
    while (fread(in, sizeof in, 1, stdin) == 1) {
        if (!key || memcmp(in, last, 64)) {
            EVP_PKEY_free(key);
            key = key_of(in);
            memcpy(last, in, 64);
        }
        putchar(!key ? 'k' : verify(key, in + 64, in + 96, in + 128) ? '1' : '0');
        fflush(stdout);
    }
    return 0;
}

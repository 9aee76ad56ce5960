/* Asks OpenSSL's library for a verdict on one certification path, with the signatures of all certificates (the root's own
 * included) checked under the default SM2 id. The command line cannot do that: its id for a self-signed root is the empty one.
 *
 *   chain ROOT.pem [CA.pem ...] LEAF.pem      prints "good" or "bad: why"; exit code 0, 1; 2 when a file is unreadable
 */
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>

#define SM2_ID "1234567812345678"

static X509 *load(const char *path)
{
    FILE *file = fopen(path, "r");
    X509 *certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();

    if (file != NULL)
        fclose(file);
    if (certificate == NULL || id == NULL ||
        !ASN1_OCTET_STRING_set(id, (const unsigned char *)SM2_ID, sizeof(SM2_ID) - 1)) {
        printf("bad: cannot read %s\n", path);
        exit(2);
    }
    X509_set0_distinguishing_id(certificate, id); /* takes the id over */
    return certificate;
}

int main(int count, char **paths)
{
    X509_STORE *anchors = X509_STORE_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    X509_STORE_CTX *verdict = X509_STORE_CTX_new();
    int i;

    if (count < 3 || anchors == NULL || between == NULL || verdict == NULL)
        return 2;
    X509_STORE_add_cert(anchors, load(paths[1]));
    X509_STORE_set_flags(anchors, X509_V_FLAG_CHECK_SS_SIGNATURE | X509_V_FLAG_X509_STRICT);
    for (i = 2; i < count - 1; i++)
        sk_X509_push(between, load(paths[i]));
    X509_STORE_CTX_init(verdict, anchors, load(paths[count - 1]), between);
    if (X509_verify_cert(verdict) == 1) {
        puts("good");
        return 0;
    }
    printf("bad: certificate %d: %s\n", X509_STORE_CTX_get_error_depth(verdict),
           X509_verify_cert_error_string(X509_STORE_CTX_get_error(verdict)));
    return 1;
}

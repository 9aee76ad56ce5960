/* cc chain.c -lcrypto -o chain ; chain root.pem [inter.pem ...] leaf.pem : every certificate gets the default SM2 id */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
static X509 *rd(const char *f){ FILE *p=fopen(f,"rb"); X509 *x=p?PEM_read_X509(p,0,0,0):0; ASN1_OCTET_STRING *id=ASN1_OCTET_STRING_new();
  if(!x){fprintf(stderr,"read %s\n",f);exit(2);} fclose(p); ASN1_OCTET_STRING_set(id,(const unsigned char*)"1234567812345678",16); X509_set0_distinguishing_id(x,id); return x; }
int main(int c,char **v){ X509_STORE *s=X509_STORE_new(); STACK_OF(X509)*m=sk_X509_new_null(); X509_STORE_CTX *k=X509_STORE_CTX_new();
  X509_STORE_add_cert(s,rd(v[1])); for(int i=2;i<c-1;i++) sk_X509_push(m,rd(v[i]));
  X509_STORE_set_flags(s,X509_V_FLAG_CHECK_SS_SIGNATURE|X509_V_FLAG_X509_STRICT*0|(getenv("NOTIME")?X509_V_FLAG_NO_CHECK_TIME:0));
  X509_STORE_CTX_init(k,s,rd(v[c-1]),m); int r=X509_verify_cert(k);
  printf("%s depth %d: %s\n",r==1?"ACCEPT":"REJECT",X509_STORE_CTX_get_error_depth(k),X509_verify_cert_error_string(X509_STORE_CTX_get_error(k))); return r!=1; }

#include "store.h"

int store_read_pkcs12(struct store *store, struct span bytes, struct span password, struct span key_password,
                      bool want_key, struct err *err)
{
    (void)store;
    (void)bytes;
    (void)password;
    (void)key_password;
    (void)want_key;
    return err_set(err, ERR_UNSUPPORTED, "PKCS#12 is not read yet; give PEM");
}

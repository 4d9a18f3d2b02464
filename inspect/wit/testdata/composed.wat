;; What composing tools make: a component is instantiated inside another one,
;; so that the types of its exports are known only through the arguments.
(component
  (import "test:c/ids@1.0.0" (instance $ids
    (export "id" (type (sub resource)))
    (type $r (record (field "at" u32)))
    (export "point" (type (eq $r)))))
  (component $inner
    (import "test:c/ids@1.0.0" (instance $ids
      (export "id" (type (sub resource)))
      (type $r (record (field "at" u32)))
      (export "point" (type (eq $r)))))
    (alias export $ids "id" (type $id))
    (alias export $ids "point" (type $point))
    (import "f" (func $f (param "id" (borrow $id)) (result $point)))
    (component $shim
      (import "import-type-id" (type $id (sub resource)))
      (type $r (record (field "at" u32)))
      (import "import-type-point" (type $point (eq $r)))
      (import "import-func-f" (func $f (param "id" (borrow $id)) (result $point)))
      (export $id2 "id" (type $id))
      (export $point2 "point" (type $point))
      (export "f" (func $f) (func (param "id" (borrow $id2)) (result $point2))))
    (instance $out (instantiate $shim
      (with "import-type-id" (type $id))
      (with "import-type-point" (type $point))
      (with "import-func-f" (func $f))))
    (export "test:c/out@1.0.0" (instance $out)))
  (alias export $ids "id" (type $id))
  (alias export $ids "point" (type $point))
  (import "host" (func $host (param "id" (borrow $id)) (result $point)))
  (instance $i (instantiate $inner (with "test:c/ids@1.0.0" (instance $ids)) (with "f" (func $host))))
  (alias export $i "test:c/out@1.0.0" (instance $out))
  (export "test:c/out@1.0.0" (instance $out)))

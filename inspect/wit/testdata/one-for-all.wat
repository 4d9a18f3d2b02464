;; A WIT package in the encoding of before 2024: one component type for all.
(component
  (type $all (component
    (type $base (instance (export "id" (type (sub resource)))))
    (import "dep:p/base@0.1.0" (instance $b (type $base)))
    (alias export $b "id" (type $id))
    (type $ids (instance
      (alias outer 1 $id (type $other))
      (export "id" (type $mine (eq $other)))
      (type $own (own $mine))
      (type $next (func (result $own)))
      (export "next" (func (type $next)))))
    (export "test:old/ids@0.1.0" (instance (type $ids)))
    (type $app (component
      (type $base (instance (export "id" (type (sub resource)))))
      (import "dep:p/base@0.1.0" (instance $b (type $base)))
      (alias export $b "id" (type $id))
      (type $ids (instance
        (alias outer 1 $id (type $other))
        (export "id" (type $mine (eq $other)))
        (type $own (own $mine))
        (type $next (func (result $own)))
        (export "next" (func (type $next)))))
      (export "test:old/ids@0.1.0" (instance (type $ids)))))
    (export "test:old/app@0.1.0" (component (type $app)))))
  (export "test:old/wit@0.1.0" (type $all)))
